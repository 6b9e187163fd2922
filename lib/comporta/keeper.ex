defmodule Comporta.Keeper do
  @moduledoc """
  Keeps one pipeline running: starts it, starts it again with backoff when its tree fails, and says why.

  What a pipeline itself says cannot go on (a transform that never succeeds, a file that does not load, a
  position that is another's) is not tried again: it would only fail again, so it is reported in words. So is a pipeline
  that has reached its end. Of a pipeline that the release was started for, the BEAM stops then, for whoever started it
  to decide; of one among others, only its own tree does.
  """

  # Stopping may take as long as draining does.
  use GenServer, restart: :transient, shutdown: :infinity

  require Logger

  alias Comporta.{Backoff, Config, Definition, Ledger, Pipelines, Progress, Status}
  alias Comporta.Pipeline.Run

  # A tree that ran this long before it failed has earned a restart at once.
  @settled_ms 60_000

  defstruct [:config, :whole?, :run, :generation, :tree, :started_at, backoff: Backoff.new(), verdict: nil]

  @type place :: :whole | :among_others

  @doc "Starts the keeper of a pipeline, which is the `:whole` of what the release does, or runs `:among_others`."
  @spec start_link({Config.t(), place}) :: GenServer.on_start()
  def start_link(kept), do: GenServer.start_link(__MODULE__, kept)

  @doc "Drains the pipeline, and ends its keeper."
  @spec stop(pid) :: :ok
  def stop(keeper) do
    GenServer.stop(keeper, :normal, :infinity)
  catch
    :exit, _ended -> :ok
  end

  @impl true
  def init({config, place}) do
    Process.flag(:trap_exit, true)
    {:ok, %__MODULE__{config: config, whole?: place == :whole}, {:continue, :load}}
  end

  @impl true
  def handle_continue(:load, state) do
    with {:ok, definition} <- Definition.load(state.config),
         run = Run.new(state.config, definition, state.whole?),
         :ok <- check_claims(run),
         :ok <- claim_name(run) do
      # A keeper before this one that failed may have left it behind.
      Pipelines.stop(run)
      state = %{state | run: run}
      {:noreply, if(stopping?(), do: state, else: start(state))}
    else
      {:error, words} -> conclude(state, 1, words)
    end
  end

  defp check_claims(%{definition: %{dedup: true}, claims: "cassandra:" <> _keyspace, name: name}) do
    {:error,
     "#{name} deduplicates, and ids cannot be claimed in Cassandra: give --claims redis://HOST:PORT" <>
       " (COMPORTA_CLAIMS)"}
  end

  defp check_claims(_run), do: :ok

  defp claim_name(run) do
    case Registry.register(Comporta.Registry, {run.name, :keeper}, nil) do
      {:ok, _pid} ->
        :ok

      {:error, _taken} ->
        {:error, "two pipelines of this release are called #{run.name}: give each a name of its own"}
    end
  end

  @impl true
  # A store that was started again is ready again, and nothing new.
  def handle_info({:run, {:ready, generation, _dead}}, %{generation: generation} = state),
    do: {:noreply, state}

  def handle_info({:run, {:ready, generation, dead}}, state) do
    Progress.banner(state.run, generation, dead)
    {:noreply, %{state | generation: generation}}
  end

  def handle_info({:run, {:waiting, words}}, state) do
    Progress.waiting(state.run, words)
    {:noreply, state}
  end

  def handle_info({:run, :finished}, state), do: conclude(state, 0, nil)
  def handle_info({:run, {:failed, words}}, state), do: conclude(state, 1, words)
  def handle_info(:start, %{verdict: nil} = state), do: {:noreply, start(state)}

  def handle_info({:DOWN, tree, :process, _pid, _reason}, %{tree: tree, verdict: nil} = state) do
    # A tree that was drained has not failed.
    {:noreply, if(stopping?(), do: state, else: start_later(state))}
  end

  def handle_info(_message, state), do: {:noreply, state}

  # A BEAM that stops starts nothing.
  defp stopping?, do: match?({:stopping, _}, :init.get_status())

  defp start_later(state) do
    ran = System.monotonic_time(:millisecond) - state.started_at
    backoff = if ran > @settled_ms, do: Backoff.reset(state.backoff), else: state.backoff
    {delay, backoff} = Backoff.next(backoff)
    Logger.error("a part of #{state.run.name} failed, as said above; it starts again in #{delay} ms")
    Process.send_after(self(), :start, delay)
    %{state | backoff: backoff}
  end

  @impl true
  def terminate(_reason, %{run: nil}), do: :ok

  # The pipeline is drained by now, so that this is where the run ended.
  def terminate(_reason, %{run: %{name: name} = run} = state) do
    Pipelines.stop(run)
    verdict = state.verdict || failed_meanwhile()
    ledger = Status.get(name, :durable, Ledger.new())
    Progress.ledger(name, ledger, verdict == {0, nil} and not Status.get(name, :worked?, false))
    say_verdict(state, conclusion(verdict, ledger))
  end

  # What a part said as the pipeline was drained.
  defp failed_meanwhile do
    receive do
      {:run, {:failed, words}} -> {1, words}
    after
      0 -> nil
    end
  end

  defp conclusion(verdict, ledger) do
    case verdict || {0, nil} do
      {0, _words} ->
        if Ledger.balanced?(ledger),
          do: {0, nil},
          else: {1, "the ledger does not balance: #{inspect(ledger)}"}

      failed ->
        failed
    end
  end

  defp start(state) do
    state = %{state | started_at: System.monotonic_time(:millisecond)}

    case Pipelines.start(state.run) do
      {:ok, tree} -> %{state | tree: Process.monitor(tree)}
      {:error, _part_failed_at_once} -> start_later(state)
    end
  end

  defp conclude(%{verdict: nil, whole?: true} = state, status, words) do
    # Now, for a drain that takes too long ends the BEAM.
    if status != 0, do: Progress.verdict({status, words})
    # From another process: stopping waits for this one to end.
    spawn(fn -> System.stop(status) end)
    {:noreply, %{state | verdict: {status, words}}}
  end

  defp conclude(%{verdict: nil} = state, status, words) do
    if state.run == nil, do: say_verdict(state, {status, words})
    {:stop, :normal, %{state | verdict: {status, words}}}
  end

  defp conclude(state, _status, _words), do: {:noreply, state}

  defp say_verdict(%{whole?: true}, verdict), do: Progress.verdict(verdict)
  defp say_verdict(state, {0, _words}), do: Logger.info("#{shown(state)} is done; other pipelines go on")

  defp say_verdict(state, {_status, words}) do
    Logger.error("#{shown(state)} has stopped, and is not started again; other pipelines go on: #{words}")
  end

  defp shown(%{run: nil, config: config}), do: config.file
  defp shown(%{run: run}), do: run.name
end
