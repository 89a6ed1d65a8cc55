// The pictures beside the alerts: runs, queues, throttling, the lines of one run, and what it costs.

metadata description = 'A workbook over the lines that the app writes and the metrics of the plan.'

@description('Goes into the title of the workbook.')
param name string

@description('Region of the workbook.')
param location string

@description('Tags of the workbook.')
param tags object

@description('Id of the workspace that the app logs to.')
param workspaceId string

// What only the deployment knows stands in the file by these names.
var withWorkspace = replace(loadTextContent('../workbook.json'), '__WORKSPACE__', workspaceId)
var content = replace(withWorkspace, '__GROUP__', resourceGroup().id)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Segment Exporter ${name}'
    description: 'Runs, queues, throttling, the lines of one run, cost.'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: content
    version: '1.0'
  }
}
