defmodule Comporta.Python.DirectoryTest do
  use ExUnit.Case

  alias Comporta.Python.Directory

  setup do
    parent = "/tmp/directory-test-#{System.unique_integer([:positive])}"
    File.mkdir!(parent)
    before = System.get_env("TMPDIR")
    System.put_env("TMPDIR", parent)

    on_exit(fn ->
      if before, do: System.put_env("TMPDIR", before), else: System.delete_env("TMPDIR")
      File.rm_rf!(parent)
    end)

    {:ok, parent: parent}
  end

  test "is made for its owner alone, and goes when it stops", %{parent: parent} do
    {:ok, state} = Directory.init(nil)
    assert [name] = File.ls!(parent)
    path = Path.join(parent, name)
    assert Bitwise.band(File.stat!(path).mode, 0o777) == 0o700
    assert {:reply, first, state} = Directory.handle_call(:new_path, nil, state)
    assert {:reply, second, state} = Directory.handle_call(:new_path, nil, state)
    assert Path.dirname(first) == path
    assert first != second
    File.write!(first, "")
    Directory.terminate(:shutdown, state)
    assert File.ls!(parent) == []
  end

  test "those of BEAMs that are no more are removed, and no other", %{parent: parent} do
    {:ok, state} = Directory.init(nil)
    [mine] = File.ls!(parent)
    [prefix, host, _pid, _random] = String.split(mine, "-")
    {gone, 0} = System.cmd("/bin/sh", ["-c", "echo $$"])
    others = ["#{prefix}-other-#{String.trim(gone)}-00", "#{prefix}-#{host}-#{System.pid()}-00", "unrelated"]
    stale = "#{prefix}-#{host}-#{String.trim(gone)}-00"
    for name <- [stale | others], do: File.mkdir!(Path.join(parent, name))
    File.write!(Path.join([parent, stale, "0"]), "")
    {:ok, _state} = Directory.init(nil)
    names = File.ls!(parent)
    refute stale in names
    assert Enum.all?([mine | others], &(&1 in names))
    Directory.terminate(:shutdown, state)
  end

  test "one that was removed is made again, for its owner alone", %{parent: parent} do
    {:ok, state} = Directory.init(nil)
    {:reply, first, state} = Directory.handle_call(:new_path, nil, state)
    File.rm_rf!(Path.dirname(first))
    {:noreply, state} = Directory.handle_info(:touch, state)
    assert File.ls!(parent) == []
    {:reply, second, state} = Directory.handle_call(:new_path, nil, state)
    directory = Path.dirname(second)
    assert directory != Path.dirname(first)
    assert Bitwise.band(File.stat!(directory).mode, 0o777) == 0o700
    assert {:reply, third, _state} = Directory.handle_call(:new_path, nil, state)
    assert Path.dirname(third) == directory
    Directory.terminate(:shutdown, state)
  end

  test "a path stays short enough for a socket" do
    System.put_env("TMPDIR", Path.join("/tmp", String.duplicate("x", 90)))
    {:ok, state} = Directory.init(nil)
    {:reply, path, _state} = Directory.handle_call(:new_path, nil, state)
    assert byte_size(path) <= 103
    Directory.terminate(:shutdown, state)
  end
end
