// The function app on Flex Consumption, and every setting that it reads.

@description('Name of the app, at most 32 characters: the host tells apps on one storage account apart by so many.')
@maxLength(32)
param name string

@description('Region of the app.')
param location string

@description('Tags of the app.')
param tags object

@description('Resource id of the identity.')
param identityId string

@description('Client id of the identity.')
param identityClientId string

@description('Storage account of the host.')
param hostAccountName string

@description('Address of the container of packages.')
param packageUrl string

@description('Storage account of the state.')
param stateAccountName string

@description('Container of the state.')
param stateContainer string

@description('Container of the audit trail.')
param auditContainer string

@description('Storage account of the segments.')
param segmentsAccountName string

@description('Container of the segments.')
param segmentsContainer string

@description('Names of the queues: plan, batch, poll, notify, erase.')
param queues object

@description('Address of the vault.')
param vaultUrl string

@description('Where telemetry goes.')
param connectionString string

@description('Whether spans and metrics are sent by OpenTelemetry.')
param openTelemetry bool

@description('Client id of the registration that people sign in to; empty: nobody signs in.')
param signInClientId string

@description('Address of SendGrid.')
param sendgridUrl string

@description('Address of Brevo.')
param brevoUrl string

@description('Memory that planning may use for data, in MB.')
param planMemoryMB int

@description('Seconds without a change after which a snapshot counts as complete.')
param snapshotSettleSeconds int

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

// As many as batchSize + newBatchThreshold in host.json, so that no message waits for a thread while its lease runs.
var threads = 8

var settings = [
  // __accountName, and not the addresses of the services, with which hosts failed to start now and then:
  // https://github.com/Azure/azure-functions-host/issues/11787
  { name: 'AzureWebJobsStorage__accountName', value: hostAccountName }
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
  { name: 'AzureFunctionsJobHost__functionTimeout', value: '00:10:00' }
  { name: 'PYTHON_THREADPOOL_THREAD_COUNT', value: '${threads}' }
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: connectionString }
  { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identityClientId};Authorization=AAD' }
  { name: 'AZURE_CLIENT_ID', value: identityClientId }
  { name: 'STORAGE_SUFFIX', value: environment().suffixes.storage }
  { name: 'STATE_ACCOUNT_NAME', value: stateAccountName }
  { name: 'STATE_CONTAINER', value: stateContainer }
  { name: 'AUDIT_CONTAINER', value: auditContainer }
  { name: 'SEGMENTS_ACCOUNT_NAME', value: segmentsAccountName }
  { name: 'SEGMENTS_CONTAINER', value: segmentsContainer }
  { name: 'PLAN_QUEUE', value: queues.plan }
  { name: 'BATCH_QUEUE', value: queues.batch }
  { name: 'POLL_QUEUE', value: queues.poll }
  { name: 'NOTIFY_QUEUE', value: queues.notify }
  { name: 'ERASE_QUEUE', value: queues.erase }
  { name: 'TICK_SCHEDULE', value: '0 * * * * *' }
  { name: 'KEY_VAULT_URL', value: vaultUrl }
  { name: 'SENDGRID_URL', value: sendgridUrl }
  { name: 'BREVO_URL', value: brevoUrl }
  { name: 'SNAPSHOT_SETTLE_SECONDS', value: '${snapshotSettleSeconds}' }
  { name: 'PLAN_MEMORY_MB', value: '${planMemoryMB}' }
  { name: 'PLAN_THREADS', value: '2' }
]

var signInSettings = [
  { name: 'SIGN_IN', value: 'platform' }
  // The identity that the registration trusts in place of a client secret; sign-in.bicep names this setting.
  { name: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID', value: identityClientId }
]

var openTelemetrySettings = [
  { name: 'AzureFunctionsJobHost__telemetryMode', value: 'OpenTelemetry' }
  { name: 'PYTHON_ENABLE_OPENTELEMETRY', value: 'true' }
]

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
      appSettings: concat(settings, empty(signInClientId) ? [] : signInSettings, openTelemetry ? openTelemetrySettings : [])
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      ipSecurityRestrictions: inbound == 'restricted' ? allowed : []
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
