defmodule Comporta.Python.BeamTest do
  @moduledoc "What is left of the Python processes when the whole BEAM ends, and whether it can end."
  use Comporta.PythonCase

  @nasty ~w(never_reads never_writes spins holds_the_interpreter matches_for_ever has_a_grandchild)

  @tag timeout: 60_000
  test "a BEAM that is killed leaves no process behind" do
    {port, beam, os_pids} = start_beam("sleep")
    assert Enum.all?(os_pids, &alive?/1)
    System.cmd("kill", ["-9", beam])
    assert_receive {^port, {:exit_status, 137}}, 5_000
    assert within?(2_000, fn -> not Enum.any?(os_pids, &alive?/1) end)
  end

  @tag timeout: 60_000
  test "a BEAM that stops is not held by any of them, and leaves none behind" do
    {port, _beam, os_pids} = start_beam("stop")
    assert_receive {^port, {:exit_status, 0}}, 10_000
    assert within?(2_000, fn -> not Enum.any?(os_pids, &alive?/1) end)
  end

  # Another BEAM, with a process of each kind and 64 MiB on the way to each.
  defp start_beam(then) do
    script = Path.expand("../../support/nasty_beam.exs", __DIR__)
    paths = Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])
    arguments = paths ++ [script, Application.fetch_env!(:comporta, :python), then | @nasty]
    options = [:binary, :exit_status, :stderr_to_stdout, line: 1_000, args: arguments]
    port = Port.open({:spawn_executable, System.find_executable("elixir")}, options)
    assert_receive {^port, {:data, {:eol, "started " <> pids}}}, 30_000
    [beam | os_pids] = String.split(pids)
    {port, beam, os_pids}
  end
end
