// Every setting that the app, its host and its worker read. Nothing else writes app settings, and these come after sign-in.bicep:
// with SIGN_IN the app believes the header of who has signed in, which anybody could write until the platform checks it. The app's
// first seconds without settings, and a deployment that fails at the sign-in, leave an app that cannot start.

@description('Name of the function app.')
param appName string

@description('Client id of the identity.')
param identityClientId string

@description('Storage account of the host.')
param hostAccountName string

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

@description('Whether the app sends spans and log lines itself, by OpenTelemetry.')
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

@description('Threads of the worker.')
param threads int

var settings = [
  // __accountName, and not the addresses of the services, with which hosts failed to start now and then:
  // https://github.com/Azure/azure-functions-host/issues/11787
  { name: 'AzureWebJobsStorage__accountName', value: hostAccountName }
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
  { name: 'AzureFunctionsJobHost__functionTimeout', value: '00:10:00' }
  // As many as batchSize + newBatchThreshold in host.json, so that no message waits for a thread while its lease runs.
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

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  // checkov:skip=CKV_AZURE_13: the sign-in is in sign-in.bicep; the rule looks for settings of its first version
  // checkov:skip=CKV_AZURE_222: who reaches the app is said in function-app.bicep
  parent: app
  name: 'appsettings'
  properties: toObject(
    concat(settings, empty(signInClientId) ? [] : signInSettings, openTelemetry ? openTelemetrySettings : []),
    each => each.name,
    each => each.value
  )
}
