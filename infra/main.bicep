// Everything that Segment Exporter needs in one resource group. Modules only; each says in its first lines what it is for.
// docs/deployment.md tells how to deploy it, docs/identity.md what the app may do, docs/network.md what the closed network is.

targetScope = 'resourceGroup'

metadata description = 'Segment Exporter: the function app, its storage, vault, monitoring, alerts and, on request, a closed network.'

@description('Goes into the name of every resource. Lower-case letters and digits, a letter first, as vaults want it.')
@minLength(3)
@maxLength(16)
param name string

@description('Region of everything. Flex Consumption has to be offered there.')
param location string = resourceGroup().location

@description('Tags of every resource.')
param tags object = {}

// Segments

@description('Storage account that the segments lie in already; it is only read. Empty: a container in the account of the state.')
param segmentsAccountName string = ''

@description('Resource group of that account. Empty: this one.')
param segmentsAccountResourceGroup string = ''

@description('Container of the segments.')
param segmentsContainer string = 'segments'

// Network and access

@description('Storage and vault are reached by private endpoints only, and the app calls out from one fixed address.')
param closedNetwork bool = false

@description('Who reaches the app: everybody, only the allowed addresses (and the app\'s own), or only who is in the network.')
@allowed(['public', 'restricted', 'private'])
param inbound string = 'public'

@description('Addresses that reach the app where inbound is restricted, as CIDR ranges.')
param allowedAddresses array = []

@description('Address range of the virtual network, where there is one.')
param addressSpace string = '10.40.0.0/22'

@description('Zone of the region that the way out lies in: 1, 2 or 3. Empty: Azure chooses.')
@allowed(['', '1', '2', '3'])
param outgoingZone string = ''

@description('A subnet of your own for the app in place of that network, delegated to Microsoft.App/environments. Its way out is yours then.')
param existingAppSubnetId string = ''

@description('A subnet of your own for private endpoints; needed with one for the app.')
param existingEndpointSubnetId string = ''

@description('Private DNS zones of your own by part: blob, queue, table, vault, sites. An empty id: a policy of yours registers the endpoints.')
param existingZoneIds object = {}

@description('Client id of the registration in Entra that people and applications sign in to. Empty: only the function key opens anything.')
param signInClientId string = ''

@description('Client ids of applications whose tokens are taken, besides those of the registration itself.')
param signInAllowedApplications array = []

@description('Roles of this template with just the actions that the app needs. Off, for who may not define roles: built-in ones, which allow more.')
param customRoles bool = true

// Alerts and logs

@description('Who is told of alerts. Empty: alerts are only shown.')
param alertEmails array = []

@description('Address below which docs/ of this repository can be read, for the links of alerts. Empty: only the path is named.')
param documentationUrl string = ''

@description('How often alerts look, as an ISO 8601 duration.')
@allowed(['PT5M', 'PT10M', 'PT15M', 'PT30M', 'PT1H'])
param alertEvery string = 'PT15M'

@description('Share of the people of a run, in percent, that may be rejected before there is an alert.')
@minValue(1)
@maxValue(100)
param rejectShare int = 10

@description('The app sends spans and log lines itself, by OpenTelemetry, in place of what the host would forward: docs/telemetry.md.')
param openTelemetry bool = false

@description('How long logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Gigabytes of logs a day, after which nothing more is taken in until the next day, and alerts are blind. -1: no limit.')
@minValue(-1)
param dailyLogCapGb int = -1

@description('Requests to storage that are logged: StorageRead, StorageWrite, StorageDelete. Reads of queues never are: the app looks every second.')
param storageLogs array = ['StorageWrite', 'StorageDelete']

// The app

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances of each function at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 20

@description('Instances that are always there, for HTTP and for planning each. 0: the first call after a pause waits, up to a minute or two.')
@minValue(0)
param alwaysReady int = 0

@description('Memory that planning may use for data, in MB; the rest goes to disk.')
@minValue(64)
param planMemoryMB int = 256

@description('A snapshot counts as complete when nothing in it has changed for so many seconds.')
@minValue(0)
param snapshotSettleSeconds int = 60

@description('Address of SendGrid: the global one, or https://api.eu.sendgrid.com.')
param sendgridUrl string = 'https://api.sendgrid.com'

@description('Address of Brevo.')
param brevoUrl string = 'https://api.brevo.com'

// What is kept

@description('Kind of storage accounts: within one data centre, or over the zones of the region, or besides in the paired region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('How long deleted and overwritten blobs can be brought back. People who were erased are in such copies for so long.')
@minValue(1)
@maxValue(365)
param keepDeletedDays int = 14

@description('How long nothing of the audit trail can be changed or deleted, by anybody. 0: no such rule.')
@minValue(0)
@maxValue(146000)
param auditImmutableDays int = 0

@description('When the audit trail is deleted, counted from the last line of a day. 0: never. Not before auditImmutableDays.')
@minValue(0)
param auditKeepDays int = 0

@description('Rejects and drift of runs hold addresses of people, and are deleted after so many days. 0: never.')
@minValue(0)
param peopleKeepDays int = 90

@description('Locks against deleting the state and the vault.')
param locks bool = false

// Host ids are the first 32 characters of the app's name, and account names have to be new to the whole world.
var unique = take(uniqueString(resourceGroup().id, name), 7)
var hostAccountName = '${name}h${unique}'
var stateAccountName = '${name}s${unique}'

var packageContainer = 'packages'
var stateContainer = 'exporter-state'
var auditContainer = 'exporter-audit'
var ownSegments = empty(segmentsAccountName)
var segmentsGroup = empty(segmentsAccountResourceGroup) ? resourceGroup().name : segmentsAccountResourceGroup
var networked = closedNetwork || inbound == 'private'

// Threads of the worker, and calls that an instance takes at once.
var threads = 8

// The settings of the app are made of the same names. A trigger creates neither its queue nor the one of its poison messages.
var queues = {
  plan: 'plan-runs'
  batch: 'send-batches'
  poll: 'poll-jobs'
  notify: 'notify'
  erase: 'erase-people'
}

module identity 'modules/identity.bicep' = {
  params: {
    name: '${name}-identity'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    name: name
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: dailyLogCapGb
  }
}

module hostAccount 'modules/storage.bicep' = {
  params: {
    name: hostAccountName
    location: location
    tags: tags
    skuName: storageSku
    closedNetwork: closedNetwork
    keepDeletedDays: keepDeletedDays
    keepVersions: false
    workspaceId: monitoring.outputs.workspaceId
    logs: storageLogs
    locked: false
  }
}

module stateAccount 'modules/storage.bicep' = {
  params: {
    name: stateAccountName
    location: location
    tags: tags
    skuName: storageSku
    closedNetwork: closedNetwork
    keepDeletedDays: keepDeletedDays
    keepVersions: true
    workspaceId: monitoring.outputs.workspaceId
    logs: storageLogs
    locked: locks
  }
}

module hostParts 'modules/host-parts.bicep' = {
  params: {
    accountName: hostAccount.outputs.name
    packageContainer: packageContainer
    queues: queues
  }
}

module stateParts 'modules/state-parts.bicep' = {
  params: {
    accountName: stateAccount.outputs.name
    stateContainer: stateContainer
    auditContainer: auditContainer
    auditImmutableDays: auditImmutableDays
  }
}

module lifecycle 'modules/lifecycle.bicep' = {
  params: {
    accountName: stateAccount.outputs.name
    stateContainer: stateContainer
    auditContainer: auditContainer
    segmentsContainer: segmentsContainer
    auditImmutableDays: auditImmutableDays
    auditKeepDays: auditKeepDays
    peopleKeepDays: peopleKeepDays
  }
}

module segments 'modules/segments.bicep' = if (ownSegments) {
  params: {
    accountName: stateAccount.outputs.name
    container: segmentsContainer
  }
}

module vault 'modules/vault.bicep' = {
  params: {
    name: '${name}v${unique}'
    location: location
    tags: tags
    closedNetwork: closedNetwork
    workspaceId: monitoring.outputs.workspaceId
    locked: locks
  }
}

module roleDefinitions 'modules/role-definitions.bicep' = if (customRoles) {
  params: {
    name: '${name}-${unique}'
  }
}

module roles 'modules/roles.bicep' = {
  params: {
    principalId: identity.outputs.principalId
    hostAccountName: hostAccount.outputs.name
    stateAccountName: stateAccount.outputs.name
    stateContainer: stateParts.outputs.stateContainer
    auditContainer: stateParts.outputs.auditContainer
    vaultName: vault.outputs.name
    componentName: monitoring.outputs.componentName
    ownRoles: customRoles ? roleDefinitions!.outputs.ids : {}
  }
}

module ownSegmentsRole 'modules/roles-segments.bicep' = if (ownSegments) {
  params: {
    principalId: identity.outputs.principalId
    accountName: stateAccount.outputs.name
    container: ownSegments ? segments!.outputs.container : segmentsContainer
  }
}

module otherSegmentsRole 'modules/roles-segments.bicep' = if (!ownSegments) {
  scope: resourceGroup(segmentsGroup)
  params: {
    principalId: identity.outputs.principalId
    accountName: segmentsAccountName
    container: segmentsContainer
  }
}

module network 'modules/network.bicep' = if (networked) {
  params: {
    name: name
    location: location
    tags: tags
    addressSpace: addressSpace
    closedNetwork: closedNetwork
    privateInbound: inbound == 'private'
    zone: outgoingZone
    existingAppSubnetId: existingAppSubnetId
    existingEndpointSubnetId: existingEndpointSubnetId
    existingZoneIds: existingZoneIds
  }
}

// Which service of which account has an endpoint in the closed network.
var closedServices = [
  { account: 'host', service: 'blob' }
  { account: 'host', service: 'queue' }
  { account: 'host', service: 'table' }
  { account: 'state', service: 'blob' }
]

module storageEndpoints 'modules/private-endpoint.bicep' = [
  for each in closedServices: if (closedNetwork) {
    params: {
      name: '${name}-${each.account}-${each.service}'
      location: location
      tags: tags
      subnetId: network!.outputs.endpointSubnetId
      targetId: each.account == 'host' ? hostAccount.outputs.id : stateAccount.outputs.id
      groupId: each.service
      zoneId: network!.outputs.zoneIds[each.service]
    }
  }
]

// An account that is in the zone of private endpoints elsewhere cannot be found from a network that has no endpoint of its own for it.
// With a blob zone of yours that endpoint is yours too: a second one would write over its record in a zone that others use.
module segmentsEndpoint 'modules/private-endpoint.bicep' = if (closedNetwork && !ownSegments && !contains(existingZoneIds, 'blob')) {
  params: {
    name: '${name}-segments-blob'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    targetId: ownSegments ? stateAccount.outputs.id : resourceId(segmentsGroup, 'Microsoft.Storage/storageAccounts', segmentsAccountName)
    groupId: 'blob'
    zoneId: network!.outputs.zoneIds.blob
  }
}

module vaultEndpoint 'modules/private-endpoint.bicep' = if (closedNetwork) {
  params: {
    name: '${name}-vault'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    targetId: vault.outputs.id
    groupId: 'vault'
    zoneId: network!.outputs.zoneIds.vault
  }
}

module app 'modules/function-app.bicep' = {
  params: {
    name: '${name}-${unique}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    packageUrl: hostParts.outputs.packageUrl
    threads: threads
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReady: alwaysReady
    inbound: inbound
    allowedAddresses: allowedAddresses
    subnetId: networked ? network!.outputs.appSubnetId : ''
    outgoingAddress: networked ? network!.outputs.outgoingAddress : ''
  }
  // The first start has to find its storage, its vault and its rights to them.
  dependsOn: [
    roles
    ownSegmentsRole
    otherSegmentsRole
    storageEndpoints
    segmentsEndpoint
    vaultEndpoint
  ]
}

module signIn 'modules/sign-in.bicep' = if (!empty(signInClientId)) {
  params: {
    appName: app.outputs.name
    clientId: signInClientId
    allowedApplications: signInAllowedApplications
  }
}

module appSettings 'modules/app-settings.bicep' = {
  params: {
    appName: app.outputs.name
    identityClientId: identity.outputs.clientId
    hostAccountName: hostAccount.outputs.name
    stateAccountName: stateAccount.outputs.name
    stateContainer: stateContainer
    auditContainer: auditContainer
    segmentsAccountName: ownSegments ? stateAccountName : segmentsAccountName
    segmentsContainer: segmentsContainer
    queues: queues
    vaultUrl: vault.outputs.url
    connectionString: monitoring.outputs.connectionString
    openTelemetry: openTelemetry
    signInClientId: signInClientId
    sendgridUrl: sendgridUrl
    brevoUrl: brevoUrl
    planMemoryMB: planMemoryMB
    snapshotSettleSeconds: snapshotSettleSeconds
    threads: threads
  }
  // The platform has to keep others from writing the header before the app believes it.
  dependsOn: [signIn]
}

module appEndpoint 'modules/private-endpoint.bicep' = if (inbound == 'private') {
  params: {
    name: '${name}-app'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    targetId: app.outputs.id
    groupId: 'sites'
    zoneId: network!.outputs.zoneIds.sites
  }
}

module alerts 'modules/alerts.bicep' = {
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    emails: alertEmails
    documentationUrl: documentationUrl
    every: alertEvery
    rejectShare: rejectShare
    storageAccountIds: [hostAccount.outputs.id, stateAccount.outputs.id]
  }
}

module workbook 'modules/workbook.bicep' = {
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

@description('Name of the function app.')
output APP_NAME string = app.outputs.name

@description('Address of the app.')
output APP_URL string = app.outputs.url

@description('Object id of the app\'s identity: what the registration trusts in place of a client secret.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Client id of the app\'s identity.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('The address that the app calls out from, to be authorised at the providers. Empty without a network, and in one of your own.')
output OUTGOING_ADDRESS string = networked ? network!.outputs.outgoingAddress : ''

@description('Name of the vault with the keys of the providers.')
output VAULT_NAME string = vault.outputs.name

@description('Storage account of the host: package, queues, function keys.')
output HOST_ACCOUNT_NAME string = hostAccount.outputs.name

@description('Storage account of the state and the audit trail.')
output STATE_ACCOUNT_NAME string = stateAccount.outputs.name

@description('Storage account of the segments.')
output SEGMENTS_ACCOUNT_NAME string = ownSegments ? stateAccount.outputs.name : segmentsAccountName

@description('Container of the segments.')
output SEGMENTS_CONTAINER string = segmentsContainer

@description('Name of the workspace with the logs.')
output WORKSPACE_NAME string = monitoring.outputs.workspaceName
