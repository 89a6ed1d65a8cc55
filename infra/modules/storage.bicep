// A storage account without keys. What lies in it is declared by the modules that know what it is for.

@description('Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the account.')
param location string

@description('Tags of the account.')
param tags object

@description('How many copies there are, and where.')
param skuName string

@description('Reached by private endpoints only.')
param closedNetwork bool

@description('How long deleted blobs and containers can be brought back, in days.')
param keepDeletedDays int

@description('Overwritten blobs are kept as versions, until lifecycle.bicep deletes those.')
param keepVersions bool

@description('Workspace that requests are logged in.')
param workspaceId string

@description('Kinds of requests that are logged: StorageRead, StorageWrite, StorageDelete.')
param logs array

@description('Whether the account is locked against deleting.')
param locked bool

// The app looks into its queues every second, so reads of them would be most of the log.
var queueLogs = filter(logs, each => each != 'StorageRead')

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35: the network is closed by the switch closedNetwork, which checkov does not evaluate; prod.bicepparam sets it
  // checkov:skip=CKV_AZURE_59: the same switch closes the public address; blobs are public to nobody either way
  // checkov:skip=CKV_AZURE_206: copies are a parameter: one data centre for dev, the zones of the region for prod
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    isLocalUserEnabled: false
    isSftpEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: closedNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: closedNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
    }
    encryption: {
      keySource: 'Microsoft.Storage'
      // Encrypted twice, with two keys. It cannot be switched on later.
      requireInfrastructureEncryption: true
      services: {
        blob: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: keepVersions
    deleteRetentionPolicy: { enabled: true, days: keepDeletedDays, allowPermanentDelete: false }
    containerDeleteRetentionPolicy: { enabled: true, days: keepDeletedDays }
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

// A diagnostic setting has to log something.
resource blobLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(logs)) {
  scope: blobs
  name: 'requests'
  properties: {
    workspaceId: workspaceId
    logs: [for category in logs: { category: category, enabled: true }]
  }
}

resource queueLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(queueLogs)) {
  scope: queues
  name: 'requests'
  properties: {
    workspaceId: workspaceId
    logs: [for category in queueLogs: { category: category, enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: account
  name: 'keep'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds who is on which list, and who did what. Take this lock away before you delete the account.'
  }
}

@description('Resource id of the account.')
output id string = account.id

@description('Name of the account.')
output name string = account.name
