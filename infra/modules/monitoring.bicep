// Where logs go: a workspace, and Application Insights in it. Both take and give only to who signs in by Entra; no key opens them.

@description('Goes into the names of both.')
param name string

@description('Region of both.')
param location string

@description('Tags of both.')
param tags object

@description('How long logs are kept, in days.')
param retentionDays int

@description('Gigabytes that are taken in on a day; -1: no limit.')
param dailyCapGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGb }
    features: {
      disableLocalAuth: true
      // Who may read a resource may read its logs, and nobody else's.
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

@description('Resource id of the workspace.')
output workspaceId string = workspace.id

@description('Name of the workspace.')
output workspaceName string = workspace.name

@description('Name of the Application Insights component.')
output componentName string = component.name

@description('Where telemetry is sent. It holds addresses and the key of the component, which opens nothing while local authentication is off.')
output connectionString string = component.properties.ConnectionString
