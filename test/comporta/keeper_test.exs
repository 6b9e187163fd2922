defmodule Comporta.KeeperTest do
  use ExUnit.Case, async: false

  alias Comporta.{Config, Keeper, Ledger, Status}
  alias Comporta.Pipeline.Run

  @moduletag :tmp_dir
  @deadline 30_000

  setup %{tmp_dir: folder} do
    python = Application.fetch_env!(:comporta, :python)
    %{folder: folder, python: python}
  end

  defp config(context, name) do
    file = Path.join(context.folder, name <> ".py")

    File.write!(file, """
    import comporta as c
    pipeline = c.Pipeline("#{name}", metrics=[c.count("lines")])

    @pipeline.transform
    def parse(line):
        return {}
    """)

    log = Path.join(context.folder, name <> ".log")
    File.write!(log, lines(1..1000))

    {:ok, config} =
      Config.from_env(%{
        "COMPORTA_FILE" => file,
        "COMPORTA_PYTHON" => context.python,
        "COMPORTA_SOURCE" => "file:" <> log,
        "COMPORTA_STORE" => "sqlite:" <> Path.join(context.folder, name <> ".db"),
        "COMPORTA_WORKERS" => "2",
        "COMPORTA_FLUSH_EVERY" => "50ms"
      })

    {config, log}
  end

  defp have_transform(config, body),
    do: File.write!(config.file, config.file |> File.read!() |> String.replace("return {}", body))

  # A pipeline whose transform never returns.
  defp stuck(context, name) do
    {config, _log} = config(context, name)
    have_transform(config, "__import__('time').sleep(3600)")
    config
  end

  defp lines(range), do: Enum.map(range, &"#{&1}\n")

  defp keep(config),
    do: start_supervised!(Supervisor.child_spec({Keeper, {config, :among_others}}, id: make_ref()))

  defp await_counted(name, count),
    do: await(fn -> Status.get(name, :durable, Ledger.new()).counted == count end)

  defp await(holds?, deadline \\ System.monotonic_time(:millisecond) + @deadline) do
    cond do
      found = holds?.() -> found
      System.monotonic_time(:millisecond) > deadline -> flunk("not in time")
      true -> Process.sleep(10) && await(holds?, deadline)
    end
  end

  # A stage that has started, and is another one than `before`: a tree starts them one after another.
  defp await_stage(pipeline, part, before \\ nil) do
    await(fn ->
      stage = GenServer.whereis(Run.name(%{name: pipeline}, part))
      if stage != before, do: stage
    end)
  end

  test "a pipeline of which a stage fails is started again, and goes on where it was", context do
    {config, log} = config(context, "restarted")
    keep(config)
    await_counted("restarted", 1000)

    for part <- [:sequencer, :store, :source, {:worker, 1}] do
      stage = await_stage("restarted", part)
      monitor = Process.monitor(stage)
      Process.exit(stage, :kill)
      assert_receive {:DOWN, ^monitor, _, _, :killed}, @deadline
      await_stage("restarted", part, stage)
    end

    File.write!(log, lines(1..500), [:append])
    await_counted("restarted", 1500)
  end

  test "one pipeline that keeps failing does not touch another", context do
    {bad, _log} = config(context, "failing")
    {good, log} = config(context, "working")
    keep(bad)
    keep(good)
    await_counted("failing", 1000)
    await_counted("working", 1000)

    stages =
      for part <- [:source, :store, {:worker, 1}], do: GenServer.whereis(Run.name(%{name: "working"}, part))

    for _ <- 1..3, reduce: nil do
      before ->
        stage = await_stage("failing", :sequencer, before)
        Process.exit(stage, :kill)
        stage
    end

    File.write!(log, lines(1..500), [:append])
    await_counted("working", 1500)
    assert Enum.all?(stages, &Process.alive?/1)
  end

  test "one that cannot go on stops, and no other with it", context do
    {bad, _log} = config(context, "hopeless")
    {good, log} = config(context, "hopeful")
    have_transform(bad, "raise ValueError(line)")
    keep(good)
    keeper = keep(bad)
    monitor = Process.monitor(keeper)
    assert_receive {:DOWN, ^monitor, _, _, :normal}, @deadline
    refute GenServer.whereis(Run.name(%{name: "hopeless"}, :tree))
    File.write!(log, lines(1..500), [:append])
    await_counted("hopeful", 1500)
  end

  test "a name that is taken is refused, and the pipeline that has it goes on", context do
    {config, log} = config(context, "named")
    keep(config)
    await_counted("named", 1000)
    second = keep(config)
    monitor = Process.monitor(second)
    assert_receive {:DOWN, ^monitor, _, _, :normal}, @deadline
    File.write!(log, lines(1..500), [:append])
    await_counted("named", 1500)
  end

  test "a part that fails as its pipeline is drained does not hold it up", context do
    keeper = keep(%{stuck(context, "failing-late") | drain_timeout: 3_600_000})
    await(fn -> Status.get("failing-late", :worked?, false) end)
    stopped = Task.async(fn -> Keeper.stop(keeper) end)
    source = await_stage("failing-late", :source)
    await(fn -> :sys.get_state(source).draining end)
    Process.exit(await_stage("failing-late", {:worker, 1}), :kill)
    assert Task.await(stopped, @deadline) == :ok
  end

  test "one that cannot be drained in time ends, and no other with it", context do
    {good, log} = config(context, "beside")
    keep(good)
    keeper = keep(%{stuck(context, "stuck") | drain_timeout: 200})
    await(fn -> Status.get("stuck", :worked?, false) end)
    assert Keeper.stop(keeper) == :ok
    refute GenServer.whereis(Run.name(%{name: "stuck"}, :tree))
    File.write!(log, lines(1..500), [:append])
    await_counted("beside", 1500)
  end

  test "one whose file is still being loaded can be stopped", context do
    {config, _log} = config(context, "loading")
    File.write!(config.file, "import time\nopen(__file__ + '.loading', 'w').close()\ntime.sleep(3600)\n")
    start_supervised!(Supervisor.child_spec({Keeper, {config, :among_others}}, id: :loading))
    await(fn -> File.exists?(config.file <> ".loading") end)
    assert stop_supervised(:loading) == :ok
  end

  test "a pipeline is started, and drained, from Elixir", context do
    {config, _log} = config(context, "embedded")

    settings = %{
      "COMPORTA_FILE" => config.file,
      "COMPORTA_PYTHON" => config.python,
      "COMPORTA_SOURCE" => config.source,
      "COMPORTA_STORE" => config.store
    }

    assert {:ok, keeper} = Comporta.start_pipeline(settings)
    await(fn -> GenServer.whereis(Run.name(%{name: "embedded"}, :tree)) end)
    await(fn -> Status.get("embedded", :ledger, Ledger.new()).counted == 1000 end)
    assert Comporta.stop_pipeline(keeper) == :ok
    assert Comporta.ledger("embedded").counted == 1000
    refute GenServer.whereis(Run.name(%{name: "embedded"}, :tree))
    assert {:error, words} = Comporta.start_pipeline(Map.delete(settings, "COMPORTA_SOURCE"))
    assert words =~ "COMPORTA_SOURCE"
  end
end
