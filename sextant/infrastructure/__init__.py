"""How the services reach the world: settings, MongoDB, logs, HTTP problems and files of targets."""
