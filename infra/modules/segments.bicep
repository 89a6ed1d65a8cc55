// A container for segments, where there is no account that holds them already.

@description('Name of the storage account.')
param accountName string

@description('Name of the container.')
param container string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource segments 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: container
  properties: { publicAccess: 'None' }
}

@description('Name of the container, once it is there.')
output container string = segments.name
