defmodule Comporta.MixProject do
  use Mix.Project

  def project do
    [
      app: :comporta,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      elixirc_paths: elixirc_paths(Mix.env()),
      elixirc_options: [warnings_as_errors: true],
      test_paths: ["test"],
      releases: [comporta: [include_executables_for: [:unix], strip_beams: true]]
    ]
  end

  def application do
    [mod: {Comporta.Application, []}, extra_applications: extra_applications(Mix.env())]
  end

  # PropEr comes with the system's Erlang; newer Elixirs prune code paths that no application names.
  defp extra_applications(:test), do: [:logger, :crypto, :proper]
  defp extra_applications(_), do: [:logger, :crypto]

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_), do: ["lib"]
end
