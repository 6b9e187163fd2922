defmodule Comporta.Progress do
  @moduledoc """
  Tells the command that started this release how it goes, over a descriptor that the command handed down.

  The frames are those that Python processes speak (`Comporta.Python.Frame`): `banner`, `waiting`, `progress` (four a
  second), and at the end `ledger` and `verdict`. The other way comes `drain`, together with SIGTERM: a BEAM that is only
  just starting misses the signal. When the command is gone, the other end closes, and the BEAM drains and stops, too,
  within the time to drain and 5 s. Without a command, a banner and a line every 10 s go to the log.
  """

  use GenServer

  require Logger

  alias Comporta.{Config, Ledger, Log, Notes, Profile, Status}
  alias Comporta.Pipeline.Run
  alias Comporta.Python.Frame

  @report_ms 250
  @log_ms 10_000

  # The signal that comes with a `drain` has arrived by then, if it was not missed.
  @signal_ms 500

  # Beyond the time to drain, once the command is gone; as long as the command itself would wait.
  @grace_ms 5_000

  # How long the verdict may take to be written, where whoever reads is held up.
  @written_ms 500

  defstruct [:config, :port, pipelines: [], failed?: false]

  @doc "Starts the reporting."
  @spec start_link(Config.t()) :: GenServer.on_start()
  def start_link(config), do: GenServer.start_link(__MODULE__, config, name: __MODULE__)

  @doc "A pipeline is about to run."
  @spec banner(Run.t(), binary, binary) :: :ok
  def banner(run, generation, dead), do: GenServer.cast(__MODULE__, {:banner, run, generation, dead})

  @doc "A pipeline waits, and for what."
  @spec waiting(Run.t(), String.t()) :: :ok
  def waiting(run, text), do: GenServer.cast(__MODULE__, {:waiting, run.name, text})

  @doc "What became of all records of a pipeline whose outcome is durable; it reports no more."
  @spec ledger(String.t(), Ledger.t(), boolean) :: :ok
  def ledger(pipeline, ledger, nothing_to_do),
    do: GenServer.call(__MODULE__, {:ledger, pipeline, ledger, nothing_to_do})

  @doc "How the run ended: exit status and, where it failed, why. Once it has failed, nothing else is said."
  @spec verdict({0 | 1, String.t() | nil}, timeout) :: :ok
  def verdict(verdict, timeout \\ 5_000), do: GenServer.call(__MODULE__, {:verdict, verdict}, timeout)

  @doc "Ends the BEAM after so many milliseconds: where its command is gone, nobody else ends one that cannot stop."
  @spec halt_after(pos_integer) :: no_return
  def halt_after(limit) do
    # An application that ends kills the processes of its group, and this one is for what comes after that, too.
    Process.group_leader(self(), Process.whereis(:init))
    Process.sleep(limit)
    :erlang.halt(1, flush: false)
  end

  @impl true
  def init(%{progress_fd: nil} = config) do
    {:ok, _} = :timer.send_interval(@log_ms, :report)
    {:ok, %__MODULE__{config: config}}
  end

  def init(%{progress_fd: descriptor} = config) do
    Process.flag(:trap_exit, true)
    {:ok, _} = :timer.send_interval(@report_ms, :report)

    {:ok,
     %__MODULE__{config: config, port: Port.open({:fd, descriptor, descriptor}, [:binary, :eof, packet: 4])}}
  end

  @impl true
  def handle_cast({:banner, run, generation, dead}, state) do
    report(state, banner_header(run, generation, dead))
    {:noreply, %{state | pipelines: Enum.uniq([run.name | state.pipelines])}}
  end

  def handle_cast({:waiting, name, text}, state) do
    report(state, %{kind: :waiting, pipeline: name, text: text})
    {:noreply, state}
  end

  @impl true
  def handle_call({:ledger, name, ledger, nothing_to_do}, _from, state) do
    more = %{kind: :ledger, in_flight: 0, balanced: Ledger.balanced?(ledger), nothing_to_do: nothing_to_do}
    said = report(state, counts(name, ledger, more))
    {:reply, said, %{state | pipelines: List.delete(state.pipelines, name)}}
  end

  def handle_call({:verdict, _verdict}, _from, %{failed?: true} = state), do: {:reply, :ok, state}

  def handle_call({:verdict, {status, text}}, _from, state) do
    said = report(state, %{kind: :verdict, status: status, text: text})
    written(state.port, @written_ms)
    {:reply, said, %{state | failed?: status != 0}}
  end

  @impl true
  def handle_info(:report, state) do
    for name <- state.pipelines do
      {lag, unit} = Status.get(name, :lag, {0, "bytes"})
      more = %{kind: :progress, in_flight: Status.get(name, :in_flight, 0), lag: lag, lag_unit: unit}
      report(state, counts(name, Status.get(name, :ledger, Ledger.new()), more))
    end

    {:noreply, state}
  end

  def handle_info({port, {:data, data}}, %{port: port} = state) do
    {:ok, %{kind: :drain}, _payload} = Frame.decode(data)
    Process.send_after(self(), :drain, @signal_ms)
    {:noreply, state}
  end

  def handle_info(:drain, state) do
    _ = unless match?({:stopping, _}, :init.get_status()), do: spawn(fn -> System.stop(0) end)
    {:noreply, state}
  end

  def handle_info({port, :eof}, %{port: port} = state), do: alone(state)
  # So ends the descriptor where the command had not read all that was written to it.
  def handle_info({:EXIT, port, _reason}, %{port: port} = state), do: alone(state)
  def handle_info(_message, state), do: {:noreply, state}

  # The command is gone.
  defp alone(state) do
    spawn(__MODULE__, :halt_after, [state.config.drain_timeout + @grace_ms])

    spawn(fn ->
      _ = Log.silence()
      System.stop(1)
    end)

    {:noreply, %{state | port: nil}}
  end

  defp counts(name, ledger, more) do
    profile = for {step, sum} <- Profile.all(name), do: [step, sum]
    ledger |> Map.merge(Notes.all(name)) |> Map.merge(more) |> Map.merge(%{pipeline: name, profile: profile})
  end

  defp report(%{port: nil}, %{kind: :verdict, text: nil}), do: :ok
  defp report(%{port: nil}, %{kind: :verdict, text: text}), do: Logger.error(text)

  defp report(%{port: nil}, %{kind: kind} = header) do
    words =
      header |> Map.drop([:kind, :profile]) |> Enum.map_join(", ", fn {key, value} -> "#{key} #{value}" end)

    Logger.info("#{kind}: #{words}")
  end

  defp report(%{port: port}, header) do
    Port.command(port, Frame.encode(Map.put(header, :id, 0), ""))
    :ok
  rescue
    # The descriptor has just been closed: the end of it is on its way here.
    ArgumentError -> :ok
  end

  # A port of a descriptor writes in another thread, and whoever reports the end may halt the BEAM at once.
  defp written(port, ms) when port != nil and ms > 0 do
    case Port.info(port, :queue_size) do
      {:queue_size, bytes} when bytes > 0 ->
        Process.sleep(1)
        written(port, ms - 1)

      _written_or_closed ->
        :ok
    end
  end

  defp written(_port, _ms), do: :ok

  defp banner_header(%{config: config, definition: definition} = run, generation, dead) do
    %{
      kind: :banner,
      comporta: to_string(Application.spec(:comporta, :vsn)),
      elixir: System.version(),
      otp: System.otp_release(),
      python: definition.python,
      pipeline: run.name,
      source: config.source,
      store: run.store,
      claims: if(definition.dedup, do: run.claims),
      dead: dead,
      workers: config.workers,
      guarantee: guarantee(config.source),
      generation: generation
    }
  end

  defp guarantee("-"),
    do: "exactly once, but stdin cannot be read again: after a crash, what was not flushed is lost"

  defp guarantee(_source), do: "exactly once"
end
