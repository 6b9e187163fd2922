defmodule Comporta.Python do
  @moduledoc """
  A Python process as the BEAM sees it: started, framed, watched, and surely ended.

  A port has its standard output and error (into the log, under its name) and its exit status; a Unix socket of its own
  carries frames (`Comporta.Python.Frame`). The owner, whoever called `start_link/1`, is linked, should trap exits, and
  gets

    * `{:python, pid, {:waiting, reason}}` while the process waits for something before it is ready,
    * `{:python, pid, {:ready, header, payload}}` once,
    * `{:python, pid, {:frame, header, payload}}` for every later frame, except `log`, which is logged,
    * and in the end the exit reason `{:shutdown, %Comporta.Python.Death{}}`, whatever the process does.

  Nothing that the process does or leaves undone holds this one. It is always ready to receive, also while the process
  does not; what it sends waits in the socket's queue and goes away with that; and it kills the whole process group
  before it closes anything.
  """

  use GenServer

  alias Comporta.Python.{Death, Frame, Launch, Memory, Output, Reaper}

  # As `-m` does, but for looking for modules in the working directory: a user's numbers.py there is not Python's.
  @run "import runpy, sys; sys.path[:] = filter(None, sys.path); " <>
         "runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)"

  @version 1
  @memory_interval 500

  # How long after the socket's end there may be an exit status, or the other way round, of a process that ends by itself.
  @grace 100
  # How long a process that was killed may take to end.
  @patience 2_000

  @defaults [start: {%{}, ""}, env: [], memory_limit: nil, start_timeout: 30_000, max_frame: 64 * 1024 * 1024]

  @enforce_keys [:owner, :options, :output, :deadline]
  defstruct @enforce_keys ++
              [
                launch: nil,
                phase: :hello,
                socket: nil,
                status: nil,
                death: nil,
                killed: nil,
                ending?: false
              ]

  @doc """
  Starts a Python process; it is ready only when it says so.

  ## Options

    * `:name` - what the log calls it; required
    * `:program` - runs the module `comporta.PROGRAM`; required unless there are `:args`
    * `:args` - the interpreter's arguments, instead
    * `:start` - header and payload of the `start` frame; kind, id and version are added. Default: `{%{}, ""}`
    * `:python` - the interpreter. Default: the application's `:python`, or `"python3"`
    * `:env` - variables for its environment, a list of `{name, value}`. Default: `[]`
    * `:memory_limit` - bytes of resident memory over which it is killed. Default: `nil`, none
    * `:start_timeout` - milliseconds within which it must be ready, or say something. Default: 30,000
    * `:max_frame` - the largest frame in bytes. Default: 64 MiB
  """
  @spec start_link(keyword) :: {:ok, pid}
  def start_link(options) do
    # Frames live outside the heap and are given back only when nothing old refers to them any longer.
    {:ok, _pid} = GenServer.start_link(__MODULE__, {self(), options}, spawn_opt: [fullsweep_after: 0])
  end

  @doc "Sends a frame. Before the process is ready and after its end it goes nowhere."
  @spec send_frame(pid, map, iodata) :: :ok
  def send_frame(pid, header, payload), do: GenServer.cast(pid, {:send, Frame.encode(header, payload)})

  @doc "Kills the process and its group. The owner is told of a death with this cause and detail."
  @spec kill(pid, atom, term) :: :ok
  def kill(pid, cause, detail), do: GenServer.cast(pid, {:kill, cause, detail})

  @doc "The operating system's number of the process; `nil` when it has ended."
  @spec os_pid(pid) :: pos_integer | nil
  def os_pid(pid) do
    GenServer.call(pid, :os_pid, :infinity)
  catch
    :exit, _ended -> nil
  end

  @doc "The bytes of memory that the process has resident; `nil` when it has ended or the system does not say."
  @spec memory(pid) :: non_neg_integer | nil
  def memory(pid), do: with(os_pid when os_pid != nil <- os_pid(pid), do: Memory.resident(os_pid))

  ## Starting

  @impl true
  def init({owner, options}) do
    Process.flag(:trap_exit, true)
    python = Application.get_env(:comporta, :python, "python3")
    options = [python: python] |> Keyword.merge(@defaults) |> Keyword.merge(options) |> Map.new()
    output = %Output{name: options.name}

    launch(extend(%__MODULE__{owner: owner, options: options, output: output, deadline: nil}))
  end

  # Before its owner goes on: so that no owner is stopped, and the BEAM with it, while this is half done.
  defp launch(%{options: options} = state) do
    args = options[:args] || ["-c", @run, "-m", "comporta." <> options.program]

    case Launch.start(options.python, args, options.env, options.max_frame) do
      {:ok, launch} ->
        if launch.os_pid, do: Reaper.watch(self(), launch.os_pid)
        _ = if options.memory_limit, do: Process.send_after(self(), :memory, @memory_interval)
        Process.send_after(self(), :start_timeout, options.start_timeout)
        {:ok, %{state | launch: launch}}

      {:error, cause, words} ->
        {:ok, state, {:continue, {:stop, %Death{cause: cause, detail: words}}}}
    end
  end

  @impl true
  def handle_continue({:stop, death}, state), do: {:stop, {:shutdown, death}, state}

  defp extend(%{options: options} = state), do: %{state | deadline: now() + options.start_timeout}

  ## Requests of the owner

  @impl true
  def handle_call(:os_pid, _from, state), do: {:reply, state.launch.os_pid, state}

  @impl true
  def handle_cast({:send, frame}, state) do
    # Where it fails, the end of the socket is on its way here.
    _ = if is_port(state.socket), do: :gen_tcp.send(state.socket, frame)
    {:noreply, state}
  end

  def handle_cast({:kill, cause, detail}, state), do: settle(die(state, cause, detail))

  ## What comes from the process

  @impl true
  def handle_info({:accepted, socket}, %{socket: nil, launch: launch} = state) do
    :gen_tcp.close(launch.listener)
    _ = File.rm(launch.path)
    {:noreply, receive_next(%{state | socket: socket})}
  end

  def handle_info({:tcp, socket, data}, %{socket: socket} = state) do
    case Frame.decode(data) do
      {:ok, header, payload} -> settle(receive_next(frame(state.phase, header, payload, state)))
      {:error, words} -> settle(die(state, :nonsense, words))
    end
  end

  def handle_info({:tcp_error, socket, :emsgsize}, %{socket: socket} = state) do
    settle(die(state, :nonsense, "a frame of more than #{state.options.max_frame} bytes"))
  end

  def handle_info({:tcp_closed, socket}, %{socket: socket} = state),
    do: settle(ending(%{state | socket: :closed}))

  def handle_info({port, {:data, data}}, %{launch: %{port: port}} = state) do
    {:noreply, %{state | output: Output.print(state.output, data)}}
  end

  # All that was printed has come before. Its children in the group may still be there.
  def handle_info({port, {:exit_status, status}}, %{launch: %{port: port}} = state) do
    settle(ending(%{reap(state) | status: status}))
  end

  ## What comes with time

  def handle_info(:grace_over, state) do
    Process.send_after(self(), :patience_over, @patience)
    settle(reap(state))
  end

  def handle_info(:patience_over, state), do: {:stop, {:shutdown, death(state)}, state}

  def handle_info(:start_timeout, %{phase: :ready} = state), do: {:noreply, state}

  def handle_info(:start_timeout, state) do
    case state.deadline - now() do
      left when left > 0 ->
        Process.send_after(self(), :start_timeout, left)
        {:noreply, state}

      _ ->
        settle(die(state, :start_timeout, state.options.start_timeout))
    end
  end

  def handle_info(:memory, %{options: %{memory_limit: limit}} = state) do
    Process.send_after(self(), :memory, @memory_interval)

    case state.launch.os_pid && Memory.resident(state.launch.os_pid) do
      bytes when is_integer(bytes) and bytes > limit -> settle(die(state, :memory, bytes))
      _ -> {:noreply, state}
    end
  end

  # A socket's or port's last words after it was closed, and the end of the process that accepted.
  def handle_info(_message, state), do: {:noreply, state}

  ## Frames

  # Before it is ready, one that says something (such as what it waits for) is alive, and has time again.
  defp frame(_phase, %{kind: :log, level: level, text: text}, _payload, state)
       when level in [:debug, :info, :warning, :error] and is_binary(text),
       do: log(extend(state), level, text)

  defp frame(:hello, %{kind: :hello, version: version, token: token, pid: pid}, _payload, state) do
    %Launch{token: expected, os_pid: os_pid} = state.launch

    cond do
      not same?(token, expected) -> die(state, :nonsense, "another token than it was given")
      version != @version -> die(state, :refused, other_version(version))
      pid != os_pid -> die(state, :refused, wrapper(state))
      true -> start(state)
    end
  end

  defp frame(:starting, %{kind: :waiting, reason: reason}, _payload, state) when is_binary(reason) do
    tell(extend(state), {:waiting, reason})
  end

  defp frame(:starting, %{kind: :ready} = header, payload, state) do
    tell(%{state | phase: :ready}, {:ready, header, payload})
  end

  defp frame(:starting, %{kind: :refused, reason: reason}, _payload, state) when is_binary(reason) do
    die(state, :refused, reason)
  end

  defp frame(:ready, header, payload, state), do: tell(state, {:frame, header, payload})

  defp frame(phase, %{kind: kind}, _payload, state),
    do: die(state, :nonsense, "#{kind} where #{phase} was due")

  defp start(%{options: %{start: {header, payload}}} = state) do
    header = Map.merge(header, %{kind: :start, id: 0, version: @version})
    _ = :gen_tcp.send(state.socket, Frame.encode(header, payload))
    %{state | phase: :starting}
  end

  defp same?(token, expected) do
    is_binary(token) and byte_size(token) == byte_size(expected) and :crypto.hash_equals(token, expected)
  end

  defp other_version(version) do
    "the Python package comporta speaks version #{inspect(version)} of the protocol, and this is version #{@version}: " <>
      "install the same version of both"
  end

  defp wrapper(state) do
    "the interpreter #{state.options.python} starts another process instead of being Python: name the interpreter itself"
  end

  defp tell(%{owner: owner} = state, message) do
    send(owner, {:python, self(), message})
    state
  end

  defp log(state, level, text), do: %{state | output: Output.log(state.output, level, text)}

  defp receive_next(%{socket: socket} = state) when is_port(socket) do
    case :inet.setopts(socket, active: :once) do
      :ok -> state
      {:error, _reason} -> ending(%{state | socket: :closed})
    end
  end

  defp receive_next(state), do: state

  ## The end

  # It is killed for a reason of our own.
  defp die(%{death: nil} = state, cause, detail) do
    state = reap(%{state | death: %Death{cause: cause, detail: detail, os_pid: state.launch.os_pid}})
    if is_port(state.socket), do: :gen_tcp.close(state.socket)
    Process.send_after(self(), :patience_over, @patience)
    %{state | socket: :closed, ending?: true}
  end

  defp die(state, _cause, _detail), do: state

  # It ends by itself: the socket first, or the exit status.
  defp ending(%{ending?: true} = state), do: state

  defp ending(state) do
    Process.send_after(self(), :grace_over, @grace)
    %{state | ending?: true}
  end

  defp reap(%{launch: %{os_pid: nil}} = state), do: state
  defp reap(%{killed: nil} = state), do: %{state | killed: Reaper.kill(state.launch.os_pid)}
  defp reap(state), do: state

  # All is known when there is an exit status, and nothing more to read from the socket.
  defp settle(%{status: status, socket: socket} = state) when status != nil and not is_port(socket) do
    {:stop, {:shutdown, death(state)}, state}
  end

  defp settle(state), do: {:noreply, state}

  defp death(%{death: nil} = state) do
    {cause, detail} = Death.from_status(state.status, state.killed == :killed)
    %Death{cause: cause, detail: detail, os_pid: state.launch.os_pid}
  end

  defp death(%{death: death}), do: death

  @doc "What a log may hold of the state: not its token, nor user code."
  @spec format_status(map) :: map
  def format_status(status) do
    Map.replace(status, :state, Map.take(status.state, [:phase, :status, :death, :deadline]))
  end

  @impl true
  def terminate(_reason, %{launch: nil}), do: :ok

  def terminate(_reason, state) do
    _ = reap(state)
    _ = File.rm(state.launch.path)
    Output.finish(state.output)
  end

  defp now, do: System.monotonic_time(:millisecond)
end
