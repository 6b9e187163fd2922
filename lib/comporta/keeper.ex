defmodule Comporta.Keeper do
  @moduledoc """
  Keeps one pipeline running: starts it, starts it again with backoff when its tree fails, and says why.

  What a pipeline itself says cannot go on (a transform that never succeeds, a file that does not load, a
  position that is another's) is not tried again: it would only fail again, so it is reported in words and the BEAM
  stops, for whoever started it to decide. A pipeline that has reached its end is reported and the BEAM stops, too.
  """

  use GenServer

  require Logger

  alias Comporta.{Backoff, Config, Definition, Ledger, Pipelines, Progress, Status}
  alias Comporta.Pipeline.Run

  # A tree that ran this long before it failed has earned a restart at once.
  @settled_ms 60_000

  defstruct [:config, :run, :generation, :tree, :started_at, backoff: Backoff.new(), verdict: nil]

  @doc "Starts the keeper of the configured pipeline."
  @spec start_link(Config.t()) :: GenServer.on_start()
  def start_link(config), do: GenServer.start_link(__MODULE__, config)

  @impl true
  def init(config) do
    Process.flag(:trap_exit, true)
    {:ok, %__MODULE__{config: config}, {:continue, :load}}
  end

  @impl true
  def handle_continue(:load, state) do
    case Definition.load(state.config) do
      {:ok, definition} -> {:noreply, start(%{state | run: Run.new(state.config, definition)})}
      {:error, words} -> {:noreply, conclude(state, 1, words)}
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
    Progress.waiting(words)
    {:noreply, state}
  end

  def handle_info({:run, :finished}, state), do: {:noreply, conclude(state, 0, nil)}
  def handle_info({:run, {:failed, words}}, state), do: {:noreply, conclude(state, 1, words)}
  def handle_info(:start, %{verdict: nil} = state), do: {:noreply, start(state)}

  def handle_info({:DOWN, tree, :process, _pid, _reason}, %{tree: tree, verdict: nil} = state) do
    # A tree that was drained has not failed, and a BEAM that stops starts nothing.
    if match?({:stopping, _}, :init.get_status()), do: {:noreply, state}, else: {:noreply, start_later(state)}
  end

  def handle_info(_message, state), do: {:noreply, state}

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

  # The pipelines have been drained by now, so that this is where the run ended.
  def terminate(_reason, %{run: %{name: name}, verdict: verdict}) do
    ledger = Status.get(name, :durable, Ledger.new())
    Progress.ledger(ledger, verdict == {0, nil} and not Status.get(name, :worked?, false))
    Progress.verdict(conclusion(verdict, ledger))
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
    {:ok, tree} = Pipelines.start(state.run)
    %{state | tree: Process.monitor(tree), started_at: System.monotonic_time(:millisecond)}
  end

  defp conclude(%{verdict: nil} = state, status, words) do
    if state.run == nil, do: Progress.verdict({status, words})
    # From another process: stopping waits for this one to end.
    spawn(fn -> System.stop(status) end)
    %{state | verdict: {status, words}}
  end

  defp conclude(state, _status, _words), do: state
end
