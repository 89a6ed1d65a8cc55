// Reading the segments, and nothing else in the account that they lie in. That account may be in another resource group.

@description('Object id of the identity.')
param principalId string

@description('Storage account of the segments.')
param accountName string

@description('Container of the segments.')
param container string

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage#storage-blob-data-reader
var storageBlobDataReader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1')

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource segments 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobs
  name: container
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: segments
  name: guid(segments.id, principalId, storageBlobDataReader)
  properties: {
    description: 'Segments are read, and never changed.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: storageBlobDataReader
  }
}
