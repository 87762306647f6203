from django.apps import AppConfig


class DatacenterConfig(AppConfig):
    name = "datacenter"
    verbose_name = "Data center"

    def ready(self) -> None:
        from datacenter import celery  # noqa: F401  makes our app the current one for shared tasks
        from datacenter.services.placement import host_for
        from workloads.services.capacity import chooser_use

        chooser_use(host_for)
