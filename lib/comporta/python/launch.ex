defmodule Comporta.Python.Launch do
  @moduledoc """
  Starts an interpreter: a listening socket of its own, and a port that runs it with the way there in its environment.

  The process that calls `start/3` owns both, gets the port's messages, and `{:accepted, socket}` when the interpreter has
  connected. The socket's path and a token come as `COMPORTA_SOCKET` and `COMPORTA_TOKEN`.
  """

  alias Comporta.Python.Directory

  # Sending must never wait for a process that itself waits for its own frames to be received; so the queue has no bound
  # but what the stages have in flight. Past this, the largest number that the driver takes, sending waits, and fails.
  @queue 0x7FFFFFFF
  @send_timeout 30_000

  @enforce_keys [:port, :os_pid, :listener, :path, :token]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          port: port,
          os_pid: pos_integer | nil,
          listener: :gen_tcp.socket(),
          path: Path.t(),
          token: String.t()
        }

  @doc """
  Starts `python` with `args` and `env`, a list of `{name, value}`; frames have at most `max_frame` bytes.

  Returns `{:error, cause, words}` where that is not possible: `:refused` when there is no such interpreter,
  `:not_started` when the system lacks something that it may have later.
  """
  @spec start(Path.t(), [String.t()], [{String.t(), String.t()}], pos_integer) ::
          {:ok, t} | {:error, atom, String.t()}
  def start(python, args, env, max_frame) do
    case System.find_executable(python) do
      nil ->
        {:error, :refused,
         "#{python} is not a program that can be executed: name the Python interpreter to use"}

      path ->
        listen(path, args, env, max_frame)
    end
  end

  defp listen(python, args, env, max_frame) do
    path = Directory.new_path()
    token = Base.encode16(:crypto.strong_rand_bytes(32))
    own = [{"COMPORTA_SOCKET", path}, {"COMPORTA_TOKEN", token}, {"COMPORTA_MAX_FRAME", "#{max_frame}"}]

    with {:ok, listener} <- :gen_tcp.listen(0, socket_options(path, max_frame)),
         {:ok, port} <- open_port(python, args, env ++ own) do
      accept(listener)
      {:ok, %__MODULE__{port: port, os_pid: os_pid(port), listener: listener, path: path, token: token}}
    else
      {:error, reason} -> {:error, :not_started, "#{:inet.format_error(reason)} (#{reason})"}
    end
  end

  defp socket_options(path, max_frame) do
    [
      :binary,
      ifaddr: {:local, path},
      active: false,
      backlog: 1,
      packet: 4,
      packet_size: max_frame,
      high_watermark: @queue,
      low_watermark: @queue - 1,
      send_timeout: @send_timeout,
      send_timeout_close: true,
      # What is queued goes away with the socket; else closing one that nobody reads from would wait for ever.
      linger: {true, 0}
    ]
  end

  defp open_port(python, args, env) do
    env = for {name, value} <- env, do: {String.to_charlist(name), String.to_charlist(value)}
    options = [:binary, :exit_status, :stderr_to_stdout, :hide, args: args, env: env]
    {:ok, Port.open({:spawn_executable, python}, options)}
  rescue
    error in ErlangError -> {:error, error.original}
  end

  # It may have ended already: then its exit status is on the way.
  defp os_pid(port) do
    case Port.info(port, :os_pid) do
      {:os_pid, os_pid} -> os_pid
      nil -> nil
    end
  end

  # Accepting waits, so another process does it; closing the listener ends it.
  defp accept(listener) do
    owner = self()

    spawn_link(fn ->
      with {:ok, socket} <- :gen_tcp.accept(listener),
           :ok <- :gen_tcp.controlling_process(socket, owner) do
        send(owner, {:accepted, socket})
      end
    end)
  end
end
