// Three roles with just the actions that the app needs, where the built-in ones allow more. docs/identity.md says what each is for.

@description('Goes into the names of the roles, which have to be new to the tenant.')
param name string

var roles = [
  // The built-in processor of messages may not renew the time for which a message is hidden, which the trigger does while a
  // function runs, and the built-in contributor may delete queues.
  // https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-queue-service-operations
  // https://github.com/MicrosoftDocs/azure-docs/issues/120932
  {
    part: 'queue'
    called: 'queue worker'
    description: 'Puts, takes, renews and deletes messages of queues that are there. It can neither make nor delete a queue.'
    actions: ['Microsoft.Storage/storageAccounts/queueServices/queues/read']
    dataActions: [
      'Microsoft.Storage/storageAccounts/queueServices/queues/messages/read'
      'Microsoft.Storage/storageAccounts/queueServices/queues/messages/write'
      'Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action'
      'Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action'
    ]
  }
  // To make a blob that is not there and to append to one takes `add` alone; to write over one would take `write`.
  // https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-blob-service-operations
  {
    part: 'audit'
    called: 'audit writer'
    description: 'Reads blobs, makes new ones and adds to them. It can neither write over one nor delete it.'
    actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read']
    dataActions: [
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
      'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action'
    ]
  }
  // https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
  {
    part: 'vault'
    called: 'secret keeper'
    description: 'Reads, sets and deletes secrets that it knows by name. It can neither list nor purge nor restore them.'
    actions: []
    dataActions: [
      'Microsoft.KeyVault/vaults/secrets/getSecret/action'
      'Microsoft.KeyVault/vaults/secrets/setSecret/action'
      'Microsoft.KeyVault/vaults/secrets/delete'
    ]
  }
]

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for role in roles: {
    name: guid(resourceGroup().id, name, role.part)
    properties: {
      roleName: '${name} ${role.called}'
      description: role.description
      type: 'CustomRole'
      assignableScopes: [resourceGroup().id]
      permissions: [{ actions: role.actions, dataActions: role.dataActions }]
    }
  }
]

// An assignment takes the id that a role has in its subscription, and not the one below the group that a definition's `id` gives here.
@description('Ids of the roles by part: queue, audit, vault.')
output ids object = toObject(
  roles,
  role => role.part,
  role => subscriptionResourceId('Microsoft.Authorization/roleDefinitions', guid(resourceGroup().id, name, role.part))
)
