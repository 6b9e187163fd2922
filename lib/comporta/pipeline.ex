defmodule Comporta.Pipeline do
  @moduledoc """
  A pipeline is a supervision tree; this is where it is built, and only here.

      source -> workers -> sequencer -> store          data
      source <- workers <- sequencer <- store          demand
      source <------------------------- store          acknowledgement
                   |
                 claims                                 asked by workers in the middle of a batch

  The tree is all or nothing: the stages outlive the Python processes that they run, so a stage that fails is a bug or a
  verdict, and what to do about it is the keeper's to decide (`Comporta.Keeper`). Children start with what is last on the
  data's way, and the terminator, which drains, is the last to start and the first to stop.
  """

  use Supervisor

  alias Comporta.Pipeline.{Claims, Run, Sequencer, Source, Store, Terminator, Worker}

  @doc "Starts the pipeline's tree."
  @spec start_link(Run.t()) :: Supervisor.on_start()
  def start_link(run), do: Supervisor.start_link(__MODULE__, run, name: Run.name(run, :tree))

  @impl true
  def init(run) do
    claims = if run.definition.dedup, do: [child(Claims, run)], else: []
    workers = for number <- 1..run.config.workers, do: child(Worker, {run, number}, {:worker, number})
    stages = [child(Sequencer, run), child(Store, run)] ++ claims ++ [child(Source, run)] ++ workers
    Supervisor.init(stages ++ [Terminator.child_spec(run)], strategy: :one_for_all, max_restarts: 0)
  end

  defp child(module, argument, id \\ nil), do: %{id: id || module, start: {module, :start_link, [argument]}}
end
