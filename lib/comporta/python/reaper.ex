defmodule Comporta.Python.Reaper do
  @moduledoc """
  Sees to it that no operating system process outlives the BEAM process that it belongs to.

  Started before the pipelines and stopped after them, it watches the owners, and kills the whole process group when
  one is gone, however it went. It kills through a shell that was started with it and waits for the numbers: so nothing
  needs to be forked when the machine is at its limits.
  """

  use GenServer

  require Logger

  # Says first whether the process was still there. One that was only just forked does not lead its group yet.
  @script """
  exec 2>/dev/null
  while read -r pid; do
    if kill -0 "$pid"; then word=killed; else word=gone; fi
    kill -9 "-$pid"
    kill -9 "$pid"
    echo "$pid $word"
  done
  """

  @answer_within 2_000

  @doc "Starts the reaper, of which there is one."
  @spec start_link(term) :: GenServer.on_start()
  def start_link(_argument), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Has the process group of `os_pid` killed when `owner` ends."
  @spec watch(pid, pos_integer) :: :ok
  def watch(owner, os_pid), do: GenServer.call(__MODULE__, {:watch, owner, os_pid}, :infinity)

  @doc """
  Kills the process group of `os_pid`, and returns when the signal has been sent. It is not watched any longer.

  Returns `:killed` where the process was there, also as a zombie, and `:gone` where it had ended already.
  """
  @spec kill(pos_integer) :: :killed | :gone
  def kill(os_pid) do
    GenServer.call(__MODULE__, {:kill, os_pid}, :infinity)
  catch
    # It stops, and kills whatever it watches.
    :exit, _stopping -> :gone
  end

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    {:ok, %{shell: open_shell(), watched: %{}}}
  end

  @impl true
  def handle_call({:watch, owner, os_pid}, _from, state) do
    {:reply, :ok, put_in(state.watched[Process.monitor(owner)], os_pid)}
  end

  def handle_call({:kill, os_pid}, _from, state) do
    {monitors, watched} = Enum.split_with(state.watched, &match?({_monitor, ^os_pid}, &1))
    Enum.each(monitors, fn {monitor, _os_pid} -> Process.demonitor(monitor, [:flush]) end)
    {answer, state} = execute(%{state | watched: Map.new(watched)}, os_pid)
    {:reply, answer, state}
  end

  @impl true
  def handle_info({:DOWN, monitor, :process, _owner, _reason}, state) do
    {os_pid, watched} = Map.pop!(state.watched, monitor)
    {_answer, state} = execute(%{state | watched: watched}, os_pid)
    {:noreply, state}
  end

  # One that a command was sent to just as it ended gives no status.
  def handle_info({shell, {:exit_status, _status}}, %{shell: shell} = state),
    do: {:noreply, replace_shell(state)}

  def handle_info({:EXIT, shell, _reason}, %{shell: shell} = state), do: {:noreply, replace_shell(state)}
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    Enum.reduce(Map.values(state.watched), state, fn os_pid, state -> elem(execute(state, os_pid), 1) end)
  end

  defp open_shell do
    Port.open({:spawn_executable, "/bin/sh"}, [:binary, :exit_status, line: 64, args: ["-c", @script]])
  end

  defp execute(%{shell: shell} = state, os_pid) do
    send(shell, {self(), {:command, "#{os_pid}\n"}})
    answer(state, os_pid)
  end

  defp answer(%{shell: shell} = state, os_pid) do
    receive do
      {^shell, {:data, {:eol, line}}} ->
        {if(line == "#{os_pid} killed", do: :killed, else: :gone), state}

      {^shell, {:exit_status, _status}} ->
        execute(replace_shell(state), os_pid)

      {:EXIT, ^shell, _reason} ->
        execute(replace_shell(state), os_pid)
    after
      @answer_within -> execute(replace_shell(state), os_pid)
    end
  end

  defp replace_shell(%{shell: shell} = state) do
    Logger.error("the shell that kills Python processes has ended or does not answer; another one is started")
    if Port.info(shell), do: Port.close(shell)
    %{state | shell: open_shell()}
  end
end
