defmodule Comporta.PythonCase do
  @moduledoc "Tests that start Python processes: how they are started, what they log, and whether they are still there."

  use ExUnit.CaseTemplate

  alias Comporta.Python

  @children Path.expand("children", __DIR__)

  using do
    quote do
      import Comporta.PythonCase
      alias Comporta.Python
      alias Comporta.Python.Death
    end
  end

  setup context do
    Process.flag(:trap_exit, true)
    if context[:logs], do: collect_logs()
    :ok
  end

  @doc "Starts a process that behaves as the function of that name in `children/behaviours.py` says."
  def start(behaviour, options \\ []), do: start_script("behaviours.py", [to_string(behaviour)], options)

  @doc "Starts a process that behaves so, and waits until it is ready."
  def start_ready(behaviour, options \\ []) do
    python = start(behaviour, options)

    receive do
      {:python, ^python, {:ready, _header, _payload}} -> python
      {:EXIT, ^python, reason} -> raise "not ready: #{inspect(reason)}"
    end
  end

  @doc "Starts a script of `children`."
  def start_script(script, args, options \\ []) do
    {:ok, python} = Python.start_link([name: "child", args: [Path.join(@children, script) | args]] ++ options)
    python
  end

  @doc "How the process ends, within `timeout` milliseconds."
  def death(python, timeout \\ 10_000) do
    receive do
      {:EXIT, ^python, {:shutdown, %Python.Death{} = death}} -> death
      {:EXIT, ^python, reason} -> raise "no death: #{inspect(reason)}"
    after
      timeout -> raise "still alive after #{timeout} ms"
    end
  end

  @doc "Whether the operating system's process is there; a zombie is not."
  def alive?(os_pid) do
    case File.read("/proc/#{os_pid}/stat") do
      {:ok, stat} -> not Regex.match?(~r/\) [ZX] /, stat)
      {:error, _} -> false
    end
  end

  @doc "Whether the condition becomes true within `timeout` milliseconds."
  def within?(timeout, condition) do
    cond do
      condition.() ->
        true

      timeout <= 0 ->
        false

      true ->
        Process.sleep(20)
        within?(timeout - 20, condition)
    end
  end

  @doc "The next line in the log that has `part` in it, as `{level, line}`."
  def logged(part, others \\ []) do
    receive do
      {:logged, level, line} = event ->
        if String.contains?(line, part) do
          Enum.each(Enum.reverse(others), &send(self(), &1))
          {level, line}
        else
          logged(part, [event | others])
        end
    after
      5_000 -> raise "not logged: #{part}"
    end
  end

  defp collect_logs do
    Logger.configure(level: :info)
    _ = :logger.set_handler_config(Comporta.Log, :level, :none)
    id = :"#{__MODULE__}#{System.unique_integer([:positive])}"
    :ok = :logger.add_handler(id, __MODULE__, %{config: %{pid: self()}})

    on_exit(fn ->
      :logger.remove_handler(id)
      _ = :logger.set_handler_config(Comporta.Log, :level, :all)
      Logger.configure(level: :warning)
    end)
  end

  @doc false
  def log(%{level: level, msg: {:string, text}}, %{config: %{pid: pid}}) do
    send(pid, {:logged, level, IO.chardata_to_string(text)})
  end

  def log(_event, _config), do: :ok
end
