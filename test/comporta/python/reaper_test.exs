defmodule Comporta.Python.ReaperTest do
  use Comporta.PythonCase

  alias Comporta.Python.Reaper

  test "kills a process that is watched when its owner ends, however it ends" do
    for reason <- [:normal, :kill] do
      {port, os_pid} = sleep()
      owner = spawn(fn -> receive do: (:never -> :ok) end)
      Reaper.watch(owner, os_pid)
      Process.exit(owner, if(reason == :normal, do: :shutdown, else: :kill))
      assert_receive {^port, {:exit_status, 137}}, 2_000
    end
  end

  test "kills at once the process of an owner that is gone already" do
    {port, os_pid} = sleep()
    owner = spawn(fn -> :ok end)
    assert within?(1_000, fn -> not Process.alive?(owner) end)
    Reaper.watch(owner, os_pid)
    assert_receive {^port, {:exit_status, 137}}, 2_000
  end

  test "has killed when it returns, and says whether there was anything to kill" do
    {port, os_pid} = sleep()
    assert Reaper.kill(os_pid) == :killed
    assert_receive {^port, {:exit_status, 137}}, 2_000
    assert Reaper.kill(os_pid) == :gone
  end

  test "kills a process however young" do
    for _ <- 1..100 do
      {port, os_pid} = sleep()
      Reaper.kill(os_pid)
      assert_receive {^port, {:exit_status, 137}}, 2_000
    end
  end

  test "does not watch any longer what it has killed" do
    {port, os_pid} = sleep()
    owner = spawn(fn -> receive do: (:never -> :ok) end)
    Reaper.watch(owner, os_pid)
    Reaper.kill(os_pid)
    assert_receive {^port, {:exit_status, 137}}, 2_000
    refute Enum.any?(:sys.get_state(Reaper).watched, &match?({_, ^os_pid}, &1))
  end

  @tag :logs
  test "starts another shell when it loses its own" do
    %{shell: shell} = :sys.get_state(Reaper)
    {:os_pid, shell_pid} = Port.info(shell, :os_pid)
    System.cmd("kill", ["-9", to_string(shell_pid)])
    {port, os_pid} = sleep()
    assert Reaper.kill(os_pid) == :killed
    assert_receive {^port, {:exit_status, 137}}, 2_000
    assert {:error, _} = logged("another one is started")
  end

  @tag :logs
  test "kills also when its shell does not answer" do
    %{shell: shell} = :sys.get_state(Reaper)
    {:os_pid, shell_pid} = Port.info(shell, :os_pid)
    System.cmd("kill", ["-STOP", to_string(shell_pid)])
    {port, os_pid} = sleep()
    assert Reaper.kill(os_pid) == :killed
    assert_receive {^port, {:exit_status, 137}}, 2_000
    assert {:error, _} = logged("another one is started")
    System.cmd("kill", ["-CONT", to_string(shell_pid)])
    assert within?(2_000, fn -> not alive?(shell_pid) end)
  end

  test "kills all that is watched when it is stopped itself" do
    {:ok, state} = Reaper.init(nil)
    {port, os_pid} = sleep()
    {:reply, :ok, state} = Reaper.handle_call({:watch, self(), os_pid}, nil, state)
    Reaper.terminate(:shutdown, state)
    assert_receive {^port, {:exit_status, 137}}, 2_000
  end

  test "whoever asks it when it has stopped goes on" do
    :ok = Supervisor.terminate_child(Comporta.Supervisor, Reaper)
    assert Reaper.kill(4_194_304) == :gone
    {:ok, _pid} = Supervisor.restart_child(Comporta.Supervisor, Reaper)
  end

  defp sleep do
    port = Port.open({:spawn_executable, System.find_executable("sleep")}, [:exit_status, args: ["600"]])
    {:os_pid, os_pid} = Port.info(port, :os_pid)
    on_exit(fn -> System.cmd("kill", ["-9", to_string(os_pid)], stderr_to_stdout: true) end)
    {port, os_pid}
  end
end
