// Who is told of what goes wrong, and that it is well again. Alerts of the app are log queries, as the plan's own metrics do not tell
// success from failure; one is a metric of storage, and two look into the activity log of the group. docs/operations.md has a page for each of them.

metadata description = 'Alert rules over the lines that the app writes, the function that reads these lines, and the group that is told.'

@description('Goes into the name of every resource here.')
param name string

@description('Region of the rules: that of the workspace.')
param location string

@description('Tags of every resource here.')
param tags object

@description('Id of the workspace that the app logs to, in the same resource group.')
param workspaceId string

@description('Who is told. Empty: alerts are only shown.')
param emails string[]

@description('Address below which docs/ of this repository can be read, without a slash at its end. Empty: alerts name the path of their page.')
param documentationUrl string

@description('How often the queries run, as an ISO 8601 duration. Once a minute is not among them: such rules may look back six hours at most.')
@allowed(['PT5M', 'PT10M', 'PT15M', 'PT30M', 'PT1H'])
param every string

@description('Share of the people of a run, in percent, that may be invalid, refused or without a verdict before there is an alert.')
@minValue(1)
@maxValue(100)
param rejectShare int

@description('Storage accounts whose throttling is told of.')
param storageAccountIds string[] = []

var page = '${empty(documentationUrl) ? 'docs' : documentationUrl}/operations.md#alert-'

// A query that begins with a pipe goes on from these lines. A row of its answer is an alert; with dimensions, each combination is an alert of its own,
// which ends by itself when its row is gone for two or three looks:
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview#stateful-alerts
var lines = loadTextContent('../alerts/lines.kql')

// What is said again at every measurement needs no long look back. What the last word on a key was, or on the people of a run, is said once, and is
// looked for as far back as rules may look: two days.
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule#configure-alert-rule-conditions
// Severities: 0 nothing works any more, 1 people are not where they should be, 2 somebody has to decide or look, 3 worth knowing.
var rules = [
  {
    name: 'run-failed'
    severity: 1
    window: 'PT1H'
    dimensions: ['export']
    means: 'A run of this export failed, and none has ended well since: who was planned did not all reach the list.'
    query: loadTextContent('../alerts/run-failed.kql')
  }
  {
    name: 'run-held'
    severity: 2
    window: 'PT1H'
    dimensions: ['export']
    means: 'A brake holds the run of this export until somebody approves or rejects it; nothing is written before.'
    query: loadTextContent('../alerts/run-held.kql')
  }
  {
    name: 'rejects-over-share'
    severity: 3
    window: 'P2D'
    dimensions: ['export']
    measure: 'percent'
    threshold: rejectShare
    means: 'More people of the last run of this export than agreed were invalid, refused or left without a verdict.'
    query: loadTextContent('../alerts/rejects-over-share.kql')
  }
  {
    name: 'schedule-overdue'
    severity: 1
    window: 'PT1H'
    dimensions: ['export']
    means: 'The schedule of this export should have had a run that ended well by now, and has had none.'
    query: loadTextContent('../alerts/schedule-overdue.kql')
  }
  {
    name: 'tick-missing'
    severity: 0
    window: 'PT1H'
    dimensions: []
    means: 'For twenty minutes no tick has ended well: nothing is started by schedule, and nothing that stands still is moved on.'
    query: loadTextContent('../alerts/tick-missing.kql')
  }
  {
    name: 'poison-message'
    severity: 1
    window: 'PT1H'
    dimensions: ['queue']
    means: 'A step failed five times, and its message ended in the poison queue; what it belonged to was cut short.'
    query: loadTextContent('../alerts/poison-message.kql')
  }
  {
    name: 'message-age'
    severity: 2
    window: 'PT1H'
    dimensions: ['queue']
    means: 'A message has been at the head of this queue for more than a quarter of an hour, and nothing takes it.'
    query: loadTextContent('../alerts/message-age.kql')
  }
  {
    name: 'key-refused'
    severity: 1
    window: 'P2D'
    dimensions: ['connection']
    means: 'The provider refuses the key of this connection: none of its exports can run.'
    query: loadTextContent('../alerts/key-refused.kql')
  }
  {
    name: 'vault-unreachable'
    severity: 1
    window: 'PT1H'
    dimensions: ['outcome']
    means: 'The vault with the keys cannot be reached, or refuses the app: no run can begin.'
    query: loadTextContent('../alerts/vault-unreachable.kql')
  }
  {
    name: 'lane-stuck'
    severity: 2
    window: 'PT1H'
    dimensions: ['account', 'provider', 'export']
    means: 'A run has had a slot of this provider account for too long without a step forward; others may wait behind it.'
    query: loadTextContent('../alerts/lane-stuck.kql')
  }
  {
    name: 'needs-a-person'
    severity: 2
    window: 'PT1H'
    dimensions: ['action', 'outcome']
    means: 'The app has logged an error that it cannot mend by itself and that no other alert is about.'
    query: loadTextContent('../alerts/needs-a-person.kql')
  }
  {
    name: 'exceptions'
    severity: 2
    window: 'PT1H'
    dimensions: ['OperationName']
    means: 'This function has failed ten times or more within an hour.'
    query: loadTextContent('../alerts/exceptions.kql')
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: last(split(workspaceId, '/'))
}

// `ExporterLines | where run_id == "…"`: for people, and for the workbook.
#disable-next-line no-type-data // no offline type data for saved searches
resource exporterLines 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-02-01' = {
  parent: workspace
  name: 'exporter-lines'
  properties: {
    category: 'Segment Exporter'
    displayName: 'Lines of Segment Exporter, key by key'
    functionAlias: 'ExporterLines'
    query: lines
    version: 2
  }
}

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: '${name}-alerts'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: take(name, 12)
    enabled: true
    emailReceivers: [
      for (email, index) in emails: {
        name: 'email-${index}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${name}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${name} ${rule.name}'
      description: '${rule.means} ${page}${rule.name}'
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: every
      windowSize: rule.window
      autoMitigate: true
      // In a new workspace the tables are not there yet.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: startsWith(rule.query, '|') ? '${lines}${rule.query}' : rule.query
            timeAggregation: contains(rule, 'measure') ? 'Maximum' : 'Count'
            metricMeasureColumn: rule.?measure
            operator: 'GreaterThan'
            threshold: rule.?threshold ?? 0
            dimensions: map(rule.dimensions, column => { name: column, operator: 'Include', values: ['*'] })
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: empty(emails) ? [] : [group.id]
        customProperties: {
          page: '${page}${rule.name}'
        }
      }
    }
  }
]

// The accounts' own metric: their logs do not have reads, and cost by the line.
// https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference#metrics-dimensions
resource storageThrottled 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for accountId in storageAccountIds: {
    name: '${name}-storage-throttled-${last(split(accountId, '/'))}'
    location: 'global'
    tags: tags
    properties: {
      description: 'This storage account has turned requests away because there were too many of them. ${page}storage-throttled'
      severity: 3
      enabled: true
      scopes: [accountId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'throttled'
            metricNamespace: 'Microsoft.Storage/storageAccounts'
            metricName: 'Transactions'
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 50
            dimensions: [
              {
                name: 'ResponseType'
                operator: 'Include'
                values: ['ServerBusyError', 'ClientThrottlingError', 'ClientAccountRequestThrottlingError', 'ClientAccountBandwidthThrottlingError']
              }
            ]
          }
        ]
      }
      actions: empty(emails) ? [] : [{ actionGroupId: group.id }]
    }
  }
]

// Operations that take protection away, as the activity log names them.
// https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
var protection = [
  {
    name: 'protection-removed'
    means: 'Something that keeps state, trail or keys was taken away. No deployment of the template does that.'
    operations: [
      'Microsoft.Authorization/locks/delete'
      'Microsoft.Insights/diagnosticSettings/delete'
      'Microsoft.KeyVault/vaults/delete'
      // Whoever such a credential names could be the app.
      'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write'
      'Microsoft.Storage/storageAccounts/blobServices/containers/delete'
      'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete'
      'Microsoft.Storage/storageAccounts/delete'
    ]
  }
  {
    name: 'protection-changed'
    means: 'A role, a firewall, a rule of storage or a setting of the app was written. Deployments of the template do that too; nobody else should.'
    operations: [
      'Microsoft.Authorization/roleAssignments/write'
      'Microsoft.Authorization/roleDefinitions/write'
      'Microsoft.KeyVault/vaults/write'
      'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/write'
      'Microsoft.Storage/storageAccounts/blobServices/write'
      'Microsoft.Storage/storageAccounts/managementPolicies/write'
      'Microsoft.Storage/storageAccounts/write'
      'Microsoft.Web/sites/basicPublishingCredentialsPolicies/write'
      'Microsoft.Web/sites/config/write'
    ]
  }
]

// Each event is an alert of its own, which nothing ends. https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types#activity-log-alerts
resource protectionAlerts 'Microsoft.Insights/activityLogAlerts@2020-10-01' = [
  for rule in protection: {
    name: '${name}-${rule.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${rule.means} ${page}${rule.name}'
      enabled: true
      scopes: [resourceGroup().id]
      condition: {
        allOf: [
          { field: 'category', equals: 'Administrative' }
          { field: 'status', equals: 'Succeeded' }
          { anyOf: map(rule.operations, operation => { field: 'operationName', equals: operation }) }
        ]
      }
      actions: {
        actionGroups: empty(emails) ? [] : [{ actionGroupId: group.id }]
      }
    }
  }
]
