import Config

# Comporta sets up its own handler (Comporta.Log): everything to stderr, nothing to stdout.
config :logger, backends: [], default_handler: false, handle_sasl_reports: false

if config_env() == :test, do: config(:logger, level: :warning)
