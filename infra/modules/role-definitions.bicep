// Three roles with just the actions that the app needs, where the built-in ones allow more. docs/identity.md says what each is for.

@description('Goes into the names of the roles, which have to be new to the tenant.')
param name string

// The built-in processor of messages may not renew the time for which a message is hidden, which the trigger does while a function
// runs, and the built-in contributor may delete queues.
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-queue-service-operations
// https://github.com/MicrosoftDocs/azure-docs/issues/120932
resource queueRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, name, 'queue')
  properties: {
    roleName: '${name} queue worker'
    description: 'Puts, takes, renews and deletes messages of queues that are there. It can neither make nor delete a queue.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: ['Microsoft.Storage/storageAccounts/queueServices/queues/read']
        dataActions: [
          'Microsoft.Storage/storageAccounts/queueServices/queues/messages/read'
          'Microsoft.Storage/storageAccounts/queueServices/queues/messages/write'
          'Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action'
          'Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action'
        ]
      }
    ]
  }
}

// https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-blob-service-operations
resource auditRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, name, 'audit')
  properties: {
    roleName: '${name} audit writer'
    description: 'Reads blobs, makes new ones and adds to them. It can delete none.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read']
        dataActions: [
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write'
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action'
        ]
      }
    ]
  }
}

// https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
resource vaultRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, name, 'vault')
  properties: {
    roleName: '${name} secret keeper'
    description: 'Reads, sets and deletes secrets that it knows by name. It can neither list nor purge nor restore them.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/secrets/getSecret/action'
          'Microsoft.KeyVault/vaults/secrets/setSecret/action'
          'Microsoft.KeyVault/vaults/secrets/delete'
        ]
      }
    ]
  }
}

@description('Id of the role for queues.')
output queueRoleId string = queueRole.id

@description('Id of the role for the audit trail.')
output auditRoleId string = auditRole.id

@description('Id of the role for secrets.')
output vaultRoleId string = vaultRole.id
