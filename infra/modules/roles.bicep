// Everything that the app's identity may do, each at the narrowest scope; roles-segments.bicep has the segments. docs/identity.md
// says which step needs which.

@description('Object id of the identity.')
param principalId string

@description('Storage account of the host.')
param hostAccountName string

@description('Storage account of the state.')
param stateAccountName string

@description('Container of the state.')
param stateContainer string

@description('Container of the audit trail.')
param auditContainer string

@description('Vault of the keys.')
param vaultName string

@description('Application Insights component.')
param componentName string

@description('Ids of the roles of this template by part: queue, audit, vault. Of a part that is missing the nearest built-in one is given, which allows more.')
param ownRoles object

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var storageBlobDataOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b')
var storageBlobDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
var storageQueueDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '974c5e8b-45b9-4653-ba55-5f855dd0fb88')
var storageTableDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3')
var keyVaultSecretsOfficer = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7')
var monitoringMetricsPublisher = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '3913510d-42f4-4e42-8a64-420c390055eb')

// The nearest may delete queues besides, or blobs, or do anything with secrets.
var queueRole = ownRoles.?queue ?? storageQueueDataContributor
var auditRole = ownRoles.?audit ?? storageBlobDataContributor
var vaultRole = ownRoles.?vault ?? keyVaultSecretsOfficer

resource hostAccount 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostAccountName
}

resource stateAccount 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: stateAccountName
}

resource stateBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: stateAccount
  name: 'default'
}

resource state 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: stateBlobs
  name: stateContainer
}

resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: stateBlobs
  name: auditContainer
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hostAccount
  name: guid(hostAccount.id, principalId, storageBlobDataOwner)
  properties: {
    description: 'The Functions host: package, locks, status of the timer, function keys.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: storageBlobDataOwner
  }
}

resource hostTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hostAccount
  name: guid(hostAccount.id, principalId, storageTableDataContributor)
  properties: {
    description: 'The Functions host: its diagnostic events.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: storageTableDataContributor
  }
}

resource hostQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hostAccount
  name: guid(hostAccount.id, principalId, queueRole)
  properties: {
    description: 'The work of the app: it sends, takes and looks at messages; the platform counts them to scale.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: queueRole
  }
}

resource stateOfRuns 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: state
  name: guid(state.id, principalId, storageBlobDataContributor)
  properties: {
    description: 'Connections, exports, runs, ledgers, staged batches.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: storageBlobDataContributor
  }
}

resource auditTrail 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: audit
  name: guid(audit.id, principalId, auditRole)
  properties: {
    description: 'Lines of the audit trail: it adds and reads them.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: auditRole
  }
}

resource secrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, principalId, vaultRole)
  properties: {
    description: 'Keys of the providers and signing secrets: it reads them, and stores and deletes those that it was given.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: vaultRole
  }
}

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: component
  name: guid(component.id, principalId, monitoringMetricsPublisher)
  properties: {
    description: 'Telemetry, which is taken in from nobody without a role.'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: monitoringMetricsPublisher
  }
}
