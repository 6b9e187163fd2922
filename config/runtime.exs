import Config

# Only read here: Comporta.Config says what is wrong with a value, in words, when the application starts.
if config_env() == :prod do
  config :comporta,
    env: Map.filter(System.get_env(), fn {name, _} -> String.starts_with?(name, "COMPORTA_") end)
end
