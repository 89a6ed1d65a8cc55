// The function app on Flex Consumption, without its settings: app-settings.bicep writes them, after sign-in.bicep.

@description('Name of the app, at most 32 characters: the host tells apps on one storage account apart by so many.')
@maxLength(32)
param name string

@description('Region of the app.')
param location string

@description('Tags of the app.')
param tags object

@description('Resource id of the identity.')
param identityId string

@description('Address of the container of packages.')
param packageUrl string

@description('Calls that an instance takes at once: as many as the worker has threads.')
param threads int

@description('Memory of an instance, in MB.')
param instanceMemoryMB int

@description('Most instances of each function.')
param maximumInstances int

@description('Instances that are always there, for HTTP and for planning each.')
param alwaysReady int

@description('Who reaches the app: public, restricted or private.')
param inbound string

@description('Addresses that reach the app where inbound is restricted.')
param allowedAddresses array

@description('Subnet that the app calls out through; empty: none.')
param subnetId string

@description('Address that the app calls out from; empty: any of many, or one of a network of yours.')
param outgoingAddress string

// People wait for HTTP; the first step of a run waits for the function that plans.
var alwaysReadyGroups = [
  { name: 'http', instanceCount: alwaysReady }
  { name: 'function:move_run', instanceCount: alwaysReady }
]

var allowed = [
  for (address, i) in allowedAddresses: {
    name: 'allowed-${i + 1}'
    ipAddress: address
    action: 'Allow'
    tag: 'Default'
    priority: 100 + i
  }
]

// The host tells the platform by the app's own public address which triggers there are; kept out, it is never started for them.
// https://github.com/Azure/Azure-Functions/issues/2635
var itself = empty(outgoingAddress)
  ? []
  : [
      {
        name: 'itself'
        ipAddress: '${outgoingAddress}/32'
        action: 'Allow'
        tag: 'Default'
        priority: 100 + length(allowedAddresses)
      }
    ]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: '${name}-plan'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_222: who reaches the app is the parameter inbound, which checkov does not evaluate; a sign-in or a key it takes anyway
  name: name
  location: location
  // azd finds the app that it deploys to by this tag; the name is that of the service in azure.yaml.
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: inbound == 'private' ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    keyVaultReferenceIdentity: identityId
    #disable-next-line BCP037 // documented, not yet in the published types: closes /admin/* to whoever has the master key
    functionsRuntimeAdminIsolationEnabled: true
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReady == 0 ? [] : alwaysReadyGroups
        triggers: { http: { perInstanceConcurrency: threads } }
      }
    }
    siteConfig: {
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      ipSecurityRestrictions: inbound == 'restricted' ? concat(allowed, itself) : []
      ipSecurityRestrictionsDefaultAction: inbound == 'restricted' ? 'Deny' : 'Allow'
      // Deployments come the same way as calls.
      scmIpSecurityRestrictionsUseMain: true
    }
  }
}

// Deployments sign in by Entra; there is no user name and password for them.
resource noPasswordForFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noPasswordForDeployments 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

@description('Resource id of the app.')
output id string = app.id

@description('Name of the app.')
output name string = app.name

@description('Address of the app.')
output url string = 'https://${app.properties.defaultHostName}'
