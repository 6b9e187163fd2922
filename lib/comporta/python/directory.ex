defmodule Comporta.Python.Directory do
  @moduledoc """
  The directory of this BEAM's sockets and notes: nobody else may enter it, and it goes when the BEAM does.

  A BEAM that was killed leaves its directory behind; the next one on the same host removes it. Where a system removes
  what has not changed for days from its directory of temporary files, this one is touched every hour; if it is gone
  nevertheless, another one is made.
  """

  use GenServer

  import Bitwise

  @prefix "comporta-"
  # What a socket's path may have, in bytes, on every system (sockaddr_un), less what the names below take.
  @longest_parent 104 - 48

  @touch_ms 3_600_000

  @doc "Makes the directory."
  @spec start_link(term) :: GenServer.on_start()
  def start_link(_argument), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "A path for a new socket, or another file."
  @spec new_path() :: Path.t()
  def new_path, do: GenServer.call(__MODULE__, :new_path)

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    parent = Enum.find([System.tmp_dir!(), "/tmp"], &(byte_size(&1) <= @longest_parent))
    mine = @prefix <> host() <> "-"
    sweep(parent, mine)
    {:ok, _} = :timer.send_interval(@touch_ms, :touch)
    beginning = Path.join(parent, mine)
    {:ok, %{beginning: beginning, directory: made(beginning), count: 0}}
  end

  # Making it fails where it exists, so it is our own; until it is closed to others there is nothing in it.
  defp made(beginning) do
    directory = "#{beginning}#{System.pid()}-#{Base.encode16(:crypto.strong_rand_bytes(4))}"
    File.mkdir!(directory)
    File.chmod!(directory, 0o700)
    directory
  end

  @impl true
  def handle_call(:new_path, _from, %{count: count} = state) do
    state = if File.dir?(state.directory), do: state, else: %{state | directory: made(state.beginning)}
    {:reply, Path.join(state.directory, Integer.to_string(count)), %{state | count: count + 1}}
  end

  @impl true
  def handle_info(:touch, %{directory: directory} = state) do
    _ = if File.dir?(directory), do: File.touch(directory)
    {:noreply, state}
  end

  # The ports of the commands that `sweep/2` runs have ended.
  def handle_info({:EXIT, _port, :normal}, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, %{directory: directory}), do: File.rm_rf(directory)

  # Containers that share a directory do not share process numbers.
  defp host do
    {:ok, name} = :inet.gethostname()
    Integer.to_string(:erlang.phash2(name) &&& 0xFFFFFF, 36)
  end

  defp sweep(parent, mine) do
    File.ls!(parent)
    |> Enum.filter(&(String.starts_with?(&1, mine) and not alive?(String.replace_prefix(&1, mine, ""))))
    |> Enum.each(&File.rm_rf(Path.join(parent, &1)))
  end

  defp alive?(rest) do
    [pid | _] = String.split(rest, "-")
    {_output, status} = System.cmd("/bin/sh", ["-c", "kill -0 \"$1\"", "sh", pid], stderr_to_stdout: true)
    status == 0
  end
end
