"""Device profiles shipped with the drivers: one YAML file per device type beside this file."""
