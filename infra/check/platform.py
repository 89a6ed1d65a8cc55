"""App settings and site properties of Azure: what its own code reads, and what Flex Consumption does not want.

https://learn.microsoft.com/azure/azure-functions/functions-app-settings has them, unless another page is named.
"""

from collections.abc import Mapping

#: Read by the host or the worker wherever the app runs; in the sample and the README beside ours. Name -> reader.
OF_THE_PLATFORM: Mapping[str, str] = {
    "FUNCTIONS_WORKER_RUNTIME": "Core Tools, to start the worker",
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#python_threadpool_thread_count
    "PYTHON_THREADPOOL_THREAD_COUNT": "the worker, for its threads",
}

#: Read by the host or Microsoft's libraries in Azure alone: set by the template, of no use on one machine.
OF_THE_PLATFORM_IN_AZURE: Mapping[str, str] = {
    # https://learn.microsoft.com/azure/azure-functions/functions-reference#common-properties-for-identity-based-connections
    "AzureWebJobsStorage__credential": "the host, to connect by its identity",
    "AzureWebJobsStorage__clientId": "the host, to know which identity",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "the host, to send telemetry by its identity",
    # https://learn.microsoft.com/azure/azure-functions/opentelemetry-howto#enable-opentelemetry-in-the-functions-host
    "AzureFunctionsJobHost__telemetryMode": "the host, where OpenTelemetry is switched on",
    # https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": "App Service authentication, to vouch for itself without a client secret",
}

#: Never set by the template. Name -> why.
LOCAL_ONLY: Mapping[str, str] = {
    "AzureWebJobsStorage": "a connection string in it would override the identity",
    "LOCAL_MODE": "it lets everybody in, and the app refuses to start with it in Azure",
}

#: Set by the template where a parameter asks for it, and only there. Name -> the parameter.
SWITCHED: Mapping[str, str] = {
    "SIGN_IN": "signInClientId",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": "signInClientId",
    "AzureFunctionsJobHost__telemetryMode": "openTelemetry",
    "PYTHON_ENABLE_OPENTELEMETRY": "openTelemetry",
}

#: Set by Azure itself, by nobody else.
BY_AZURE: Mapping[str, str] = {
    "WEBSITE_SITE_NAME": "App Service, always",
    "WEBSITE_AUTH_ENABLED": "App Service authentication, on or off",
}

_DEPRECATED = (
    "https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations"
)

#: App settings that Flex Consumption ignores or breaks on, in any case of letters. Name -> why not.
FORBIDDEN_SETTINGS: Mapping[str, str] = {
    "FUNCTIONS_WORKER_RUNTIME": f"functionAppConfig.runtime.name says it ({_DEPRECATED})",
    "FUNCTIONS_WORKER_RUNTIME_VERSION": f"functionAppConfig.runtime.version says it ({_DEPRECATED})",
    "FUNCTIONS_EXTENSION_VERSION": f"the platform sets it ({_DEPRECATED})",
    "FUNCTIONS_WORKER_PROCESS_COUNT": f"there is one process an instance ({_DEPRECATED})",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED": f"there is one process an instance ({_DEPRECATED})",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY": f"functionAppConfig.scaleAndConcurrency.triggers.http says it ({_DEPRECATED})",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT": f"scaleAndConcurrency.maximumInstanceCount says it ({_DEPRECATED})",
    "WEBSITE_RUN_FROM_PACKAGE": f"functionAppConfig.deployment.storage says it ({_DEPRECATED})",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING": f"there is no content share ({_DEPRECATED})",
    "WEBSITE_CONTENTSHARE": f"there is no content share ({_DEPRECATED})",
    "WEBSITE_CONTENTOVERVNET": f"there is no content share ({_DEPRECATED})",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION": f"there is no content share ({_DEPRECATED})",
    "WEBSITE_VNET_ROUTE_ALL": f"everything goes through the network anyway ({_DEPRECATED})",
    "WEBSITE_DNS_SERVER": f"the network's own resolver is asked ({_DEPRECATED})",
    "ENABLE_ORYX_BUILD": f"the deployment says whether it builds ({_DEPRECATED})",
    "SCM_DO_BUILD_DURING_DEPLOYMENT": f"the deployment says whether it builds ({_DEPRECATED})",
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#website_time_zone
    "WEBSITE_TIME_ZONE": "timers run in UTC; schedules know their own zones",
    "TZ": "timers run in UTC; schedules know their own zones",
    # Deployment by an identity needs no connection string, and one that is there wins over the identity.
    # https://github.com/hashicorp/terraform-provider-azurerm/issues/29099
    "DEPLOYMENT_STORAGE_CONNECTION_STRING": "it would override the identity that fetches the package",
    # https://learn.microsoft.com/azure/azure-functions/opentelemetry-howto
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "the worker would set up telemetry beside the app's own",
    # https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication
    "APPINSIGHTS_INSTRUMENTATIONKEY": "it holds no identity; APPLICATIONINSIGHTS_CONNECTION_STRING says it",
}

#: Properties of a site, anywhere in it, that Flex Consumption has no use for.
#: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
FORBIDDEN_PROPERTIES = frozenset(
    {
        "alwaysOn",
        "containerSize",
        "ftpsState",
        "functionAppScaleLimit",
        "healthCheckPath",
        "isReserved",
        "linuxFxVersion",
        "minimumElasticInstanceCount",
        "netFrameworkVersion",
        "preWarmedInstanceCount",
        "use32BitWorkerProcess",
        "vnetPrivatePortsCount",
        "vnetRouteAllEnabled",
        "windowsFxVersion",
    }
)
