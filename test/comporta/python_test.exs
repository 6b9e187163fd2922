defmodule Comporta.PythonTest do
  use Comporta.PythonCase

  import ExUnit.CaptureLog

  describe "a process that is well" do
    test "is told its start and says that it is ready" do
      python = start(:echoes, start: {%{file: "a.py", count: 7}, ["pay", ["lo"], "ad"]})
      assert_receive {:python, ^python, {:ready, header, "payload"}}, 10_000
      assert header == %{kind: :ready, id: 0, version: 1, file: "a.py", count: 7}
    end

    test "gets frames in order and answers them" do
      python = start_ready(:echoes)
      for id <- 1..100, do: Python.send_frame(python, %{kind: :batch, id: id, partition: "p"}, [<<id>>, "x"])

      for id <- 1..100 do
        assert_receive {:python, ^python, {:frame, %{kind: :result, id: ^id, partition: "p"}, <<^id, "x">>}},
                       5_000
      end
    end

    test "may ask in the middle of a request, while the next one waits already" do
      python = start_ready(:asks)
      for id <- 1..2, do: Python.send_frame(python, %{kind: :batch, id: id}, "")

      for id <- 1..2 do
        assert_receive {:python, ^python, {:frame, %{kind: :call, id: ^id, to: :claims}, "?"}}, 5_000
        refute_received {:python, ^python, {:frame, %{kind: :result, id: ^id}, _}}
        Python.send_frame(python, %{kind: :answer, id: id}, "yes #{id}")
        answer = "yes #{id}"
        assert_receive {:python, ^python, {:frame, %{kind: :result, id: ^id}, ^answer}}, 5_000
      end
    end

    test "extends the time for its start by saying what it waits for" do
      python = start(:waits_and_is_ready, start_timeout: 1_500)
      assert_receive {:python, ^python, {:waiting, "turn 9"}}, 10_000
      assert_receive {:python, ^python, {:ready, _header, ""}}, 5_000
    end

    test "extends it by logging, too" do
      capture_log(fn ->
        python = start(:logs_and_is_ready, start_timeout: 1_500)
        assert_receive {:python, ^python, {:ready, _header, ""}}, 10_000
      end)
    end

    test "has a number and resident memory as long as it lives" do
      python = start_ready(:echoes)
      os_pid = Python.os_pid(python)
      assert alive?(os_pid)
      assert Python.memory(python) in 1_000_000..500_000_000
      Python.kill(python, :recycled, "")
      assert %Death{cause: :recycled, os_pid: ^os_pid} = death(python)
      assert Python.os_pid(python) == nil
      assert Python.memory(python) == nil
      refute alive?(os_pid)
    end

    test "leaves no socket and no directory entry behind" do
      directory = Path.dirname(Comporta.Python.Directory.new_path())
      start_ready(:echoes)
      assert File.stat!(directory).mode |> Bitwise.band(0o777) == 0o700
      assert within?(1_000, fn -> File.ls!(directory) == [] end)
    end
  end

  describe "what a process prints" do
    @describetag :logs

    test "is logged under its name, line by line, text or not, and so is what it logs" do
      start(:prints, name: "worker 7")
      assert logged("printed") == {:info, "worker 7: printed, in two"}
      assert logged("lines") == {:info, "worker 7: lines"}
      assert logged("wrong") == {:info, "worker 7: wrong"}
      assert logged("not text") == {:info, <<"worker 7: not text: ", 0xFF, 0xFE>>}
      assert {:warning, "worker 7: said in a frame"} = logged("said in a frame")
      assert {:info, "worker 7: logged"} = logged("7: logged")
      assert {:error, "worker 7: logged by user code"} = logged("by user code")
    end

    test "is logged also when it does not end its line, or is longer than one" do
      python = start(:prints)
      assert {:error, _} = logged("logged by user code")
      Python.kill(python, :recycled, "")
      assert logged("no end") == {:info, "child: no end"}
    end

    test "cannot drown the log" do
      python = start_ready(:prints_without_end)
      {:warning, line} = logged("left out")
      assert line =~ ~r/^child: too much to log: \d+ bytes were left out$/
      Python.kill(python, :timeout, "")
      assert death(python).cause == :timeout
    end
  end

  describe "a death" do
    test "by exit status" do
      python = start(:exits)
      assert %Death{cause: :exit, detail: 3} = death = death(python)
      assert Death.message(death) == "exited with status 3"
    end

    test "by a signal" do
      assert %Death{cause: :signal, detail: 11} = death = death(start(:aborts))
      assert Death.message(death) == "was killed by signal 11 (SIGSEGV)"
      python = start_ready(:spins)
      System.cmd("kill", ["-9", to_string(Python.os_pid(python))])
      assert %Death{cause: :signal, detail: 9} = death(python)
    end

    @tag :logs
    test "by an exception, whose traceback is logged" do
      assert %Death{cause: :exit, detail: 1} = death(start(:raises))
      assert {:info, "child: KeyError: 'a bug'"} = logged("a bug'")
    end

    @tag :logs
    test "by an error of the user's once it was ready, which is logged without a traceback" do
      assert %Death{cause: :exit, detail: 1} = death(start(:fails_later))
      assert {:error, "child: the store is gone"} = logged("the store is gone")
      refute_received {:logged, _level, "child: Traceback" <> _}
    end

    test "does not hide the last frame" do
      python = start(:is_ready_and_exits)
      assert %Death{cause: :exit, detail: 0} = death(python)
      assert_received {:python, ^python, {:ready, _header, _payload}}
    end

    test "by refusal, in the program's own words" do
      death = death(start(:refuses, start: {%{file: "a.py"}, ""}))
      assert %Death{cause: :refused} = death
      assert Death.message(death) == "cannot open a.py: there is no such file"
    end

    test "by a start that takes too long" do
      assert %Death{cause: :start_timeout, detail: 700} = death(start(:is_never_ready, start_timeout: 700))
    end

    test "by its memory" do
      limit = 100 * 1024 * 1024
      assert %Death{cause: :memory, detail: bytes} = death(start(:grows, memory_limit: limit))
      assert bytes > limit
    end

    test "by closing its socket" do
      python = start_ready(:closes_its_socket)
      assert %Death{cause: :closed, os_pid: os_pid} = death(python)
      refute alive?(os_pid)
    end

    test "by an interpreter that is not there" do
      assert %Death{cause: :refused} = death = death(start(:echoes, python: "/no/such/python"))
      assert Death.message(death) =~ "/no/such/python"
    end

    test "by an interpreter that is none" do
      assert %Death{cause: :exit, detail: 1} = death(start(:echoes, python: "/bin/false"))
    end

    @tag :tmp_dir
    test "by an interpreter that is another process's", %{tmp_dir: directory} do
      wrapper = Path.join(directory, "python")
      File.write!(wrapper, "#!/bin/sh\n#{Application.fetch_env!(:comporta, :python)} \"$@\"\ntrue\n")
      File.chmod!(wrapper, 0o755)
      assert %Death{cause: :refused, detail: words} = death(start(:echoes, python: wrapper))
      assert words =~ "starts another process instead of being Python"
    end

    test "is not hidden by a grandchild that holds its output, and that dies too" do
      python = start_ready(:leaves_a_grandchild)
      os_pid = Python.os_pid(python)
      assert %Death{cause: :exit, detail: 3} = death(python, 3_000)
      assert within?(2_000, fn -> group(os_pid) == [] end)
    end
  end

  describe "nothing holds the BEAM:" do
    for behaviour <-
          ~w(never_reads never_writes spins holds_the_interpreter matches_for_ever has_a_grandchild
                         executes_a_program)a do
      test "a process that #{behaviour} is killed, with 192 MiB on their way to it" do
        python = start_ready(unquote(behaviour))
        os_pid = Python.os_pid(python)
        assert alive?(os_pid)
        payload = :binary.copy(<<0>>, 64 * 1024 * 1024 - 1024)
        for id <- 1..3, do: Python.send_frame(python, %{kind: :batch, id: id}, payload)
        Python.kill(python, :timeout, "no answer")
        assert %Death{cause: :timeout} = death = death(python, 3_000)
        assert Death.message(death) == "was killed: no answer"
        assert within?(2_000, fn -> group(os_pid) == [] end)
      end

      test "a process that #{behaviour} goes with its owner's shutdown" do
        {owner, os_pid} = owned(unquote(behaviour))
        Process.exit(owner, :shutdown)
        assert_receive {:EXIT, ^owner, :shutdown}, 3_000
        assert within?(2_000, fn -> group(os_pid) == [] end)
      end
    end

    test "a process goes when what watches over it is killed" do
      python = start_ready(:spins)
      os_pid = Python.os_pid(python)
      Process.exit(python, :kill)
      assert within?(2_000, fn -> group(os_pid) == [] end)
    end

    @tag :logs
    test "a process that prints without end, and faster than Python can" do
      python = start(:echoes, python: "/bin/sh", args: ["-c", "yes"])

      for _ <- 1..50 do
        Process.sleep(10)
        assert {:message_queue_len, length} = Process.info(python, :message_queue_len)
        assert length < 10_000
      end

      Python.kill(python, :timeout, "")
      assert death(python).cause == :timeout
    end

    test "both sides may write large frames at once" do
      python = start_ready(:writes_first)
      payload = :binary.copy(<<1>>, 32 * 1024 * 1024)
      for id <- 1..3, do: Python.send_frame(python, %{kind: :batch, id: id}, payload)

      for id <- 1..3 do
        assert_receive {:python, ^python, {:frame, %{kind: :batch, id: ^id}, written}}, 10_000
        assert byte_size(written) == byte_size(payload)
      end

      for id <- 1..3,
          do: assert_receive({:python, ^python, {:frame, %{id: ^id, count: 33_554_432}, ""}}, 10_000)
    end
  end

  # An owner as a stage is one: it traps exits, and its end takes the process along.
  defp owned(behaviour) do
    test = self()

    owner =
      spawn_link(fn ->
        python = start_ready(behaviour)
        send(test, {:os_pid, Python.os_pid(python)})
        receive do: (:never -> :ok)
      end)

    assert_receive {:os_pid, os_pid}, 10_000
    {owner, os_pid}
  end

  defp group(os_pid) do
    {lines, _} = System.cmd("ps", ["-eo", "pid=,pgid=,stat="])

    for line <- String.split(lines, "\n", trim: true),
        [pid, group, state] = String.split(line),
        group == to_string(os_pid) or pid == to_string(os_pid),
        not String.starts_with?(state, "Z"),
        do: pid
  end
end
