// What the host account holds: the package of the app, and the queues that carry its work. Locks, function keys and the status of
// the timer are put there by the Functions host itself.

@description('Name of the storage account.')
param accountName string

@description('Container of the deployed package.')
param packageContainer string

@description('Names of the queues, by what they are for.')
param queues object

// A trigger creates neither its queue nor the one that its poison messages go to, and the app may not create any.
// https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages
var names = [for queue in items(queues): queue.value]
var poisonNames = [for name in names: '${name}-poison']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainer
  properties: { publicAccess: 'None' }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for name in concat(names, poisonNames): {
    parent: queueService
    name: name
  }
]

@description('Address of the container of packages.')
output packageUrl string = '${account.properties.primaryEndpoints.blob}${packages.name}'
