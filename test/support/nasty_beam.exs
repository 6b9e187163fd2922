# Starts Python processes that behave as they are told, says their numbers, and then sleeps or stops.
[interpreter, last | behaviours] = System.argv()
Application.put_env(:comporta, :python, interpreter)
{:ok, _} = Application.ensure_all_started(:comporta)
script = Path.expand("children/behaviours.py", __DIR__)

pythons =
  for behaviour <- behaviours do
    {:ok, python} =
      Comporta.Python.start_link(name: behaviour, args: [script, behaviour], start_timeout: 20_000)

    receive do: ({:python, ^python, {:ready, _header, _payload}} -> python)
  end

payload = :binary.copy(<<0>>, 64 * 1024 * 1024 - 1024)
for python <- pythons, do: Comporta.Python.send_frame(python, %{kind: :batch}, payload)
os_pids = Enum.map(pythons, &Comporta.Python.os_pid/1)
IO.puts(Enum.join(["started", System.pid() | os_pids], " "))
if last == "stop", do: System.stop(0)
Process.sleep(:infinity)
