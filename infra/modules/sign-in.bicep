// App Service authentication: it checks tokens and tells the app who has signed in. What they may do, the app decides
// (docs/access.md), so requests without a token pass: monitors and function keys have addresses of their own. Until this is on, an
// app with SIGN_IN does not start: it would not know whom to believe.

@description('Name of the function app.')
param appName string

@description('Client id of the registration in Entra.')
param clientId string

@description('Client ids of applications whose tokens are taken, besides those of the registration itself.')
param allowedApplications array

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  // checkov:skip=CKV_AZURE_13: these are the settings of authentication themselves; the rule looks for those of the first version
  // checkov:skip=CKV_AZURE_222: who reaches the app is said in function-app.bicep
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: {
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
    }
    httpSettings: {
      requireHttps: true
      forwardProxy: { convention: 'NoProxy' }
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          // One tenant: this one.
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          // No secret: the registration trusts the identity that this setting names.
          // https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad#use-a-managed-identity-instead-of-a-secret-preview
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        }
        validation: {
          allowedAudiences: ['api://${clientId}', clientId]
          defaultAuthorizationPolicy: {
            allowedApplications: concat([clientId], allowedApplications)
          }
        }
      }
    }
    login: {
      // Nobody's tokens are kept: the app asks nothing in the name of who has signed in.
      tokenStore: { enabled: false }
    }
  }
}
