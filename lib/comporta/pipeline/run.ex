defmodule Comporta.Pipeline.Run do
  @moduledoc """
  What all parts of a running pipeline share: its settings, its definition, how its parts are found, and whom they tell
  what becomes of it.
  """

  alias Comporta.{Config, Definition, Python}
  alias Comporta.Pipeline.Probation

  # Imports of a machine-learning library from a cold disk take their time.
  @start_timeout 120_000

  @enforce_keys [:name, :config, :definition, :probation, :keeper, :whole?, :store, :claims]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          name: String.t(),
          config: Config.t(),
          definition: Definition.t(),
          probation: Probation.t(),
          keeper: pid,
          whole?: boolean,
          store: String.t(),
          claims: String.t()
        }

  @type report ::
          {:ready, generation :: binary, dead :: binary}
          | {:waiting, words :: String.t()}
          | {:failed, words :: String.t()}
          | :finished

  @doc """
  A run of a definition under the configured settings, kept by the calling process; `whole?` is whether it is all that
  the BEAM is there for.
  """
  @spec new(Config.t(), Definition.t(), boolean) :: t
  def new(config, definition, whole?) do
    store = config.store || "sqlite:.comporta/#{definition.name}.db"

    %__MODULE__{
      name: definition.name,
      config: config,
      definition: definition,
      probation: Probation.new(),
      keeper: self(),
      whole?: whole?,
      store: store,
      claims: config.claims || store
    }
  end

  @doc "The name under which a part of the pipeline is registered."
  @spec name(t, term) :: {:via, module, term}
  def name(run, part), do: {:via, Registry, {Comporta.Registry, {run.name, part}}}

  @doc """
  Tells the keeper, as `{:run, report}`: the store is ready, the pipeline waits for something, everything up to the end
  is done and durable, or the pipeline cannot go on. A stage that says the last stops.
  """
  @spec report(t, report) :: :ok
  def report(run, report) do
    send(run.keeper, {:run, report})
    :ok
  end

  @doc """
  Starts a Python process of the pipeline, owned by the caller: `program` is what it runs and, numbered, its name in the
  log; `more` is what only the caller knows of what the program is told.
  """
  @spec start_python(t, {:worker, pos_integer} | :source | :store | :claims, term) :: pid
  def start_python(run, program, more \\ nil) do
    {name, program} = names(program)

    {:ok, python} =
      Python.start_link(
        name: name,
        program: to_string(program),
        python: run.config.python,
        max_frame: run.config.max_frame,
        start_timeout: @start_timeout,
        memory_limit: if(program == :worker, do: run.config.worker_memory),
        start: start_frame(run, program, more)
      )

    python
  end

  defp names({:worker, number}), do: {"worker #{number}", :worker}
  defp names(program), do: {to_string(program), program}

  defp start_frame(%{config: config, definition: definition}, :worker, nil) do
    header = %{file: config.file, name: config.name, hash: definition.hash, max_record: config.max_record}
    {header, definition.code}
  end

  defp start_frame(%{config: config} = run, :source, known) do
    settings = Map.take(config, [:source, :start, :dead, :until_end, :batch_bytes, :max_record])
    {Map.merge(settings, %{store: run.store, pipeline: run.name}), known}
  end

  defp start_frame(%{config: config} = run, :store, nil) do
    {Map.put(Map.take(config, [:source, :start, :dead]), :store, run.store), run.definition.json}
  end

  defp start_frame(run, :claims, generation) do
    {%{claims: run.claims, generation: generation}, run.definition.json}
  end
end
