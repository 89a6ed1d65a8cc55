// The containers of the app's state and of its audit trail.

@description('Name of the storage account.')
param accountName string

@description('Container of connections, exports, runs, ledgers and staged batches.')
param stateContainer string

@description('Container of the audit trail.')
param auditContainer string

@description('How long no line of the trail can be changed or deleted, in days. 0: no such rule.')
param auditImmutableDays int

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource state 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: stateContainer
  properties: { publicAccess: 'None' }
}

resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: auditContainer
  properties: { publicAccess: 'None' }
}

// Unlocked: whoever may write policies can still shorten it or take it away. docs/audit.md tells how to lock it, for good.
#disable-next-line no-type-data // the published types have it, the excerpt that the checker reads has not
resource keep 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = if (auditImmutableDays > 0) {
  parent: audit
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: auditImmutableDays
    // Lines can be added to a blob of the trail, and that is all.
    allowProtectedAppendWrites: true
  }
}

@description('Container of the state, once it is there.')
output stateContainer string = state.name

@description('Container of the audit trail, once it is there.')
output auditContainer string = audit.name
