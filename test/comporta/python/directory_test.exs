defmodule Comporta.Python.DirectoryTest do
  use ExUnit.Case, async: false

  alias Comporta.Python.Directory

  test "a directory that was removed is made again, closed to others" do
    old = Path.dirname(Directory.new_path())
    File.rm_rf!(old)
    new = Path.dirname(Directory.new_path())
    assert new != old
    assert Path.dirname(Directory.new_path()) == new
    assert Bitwise.band(File.stat!(new).mode, 0o777) == 0o700
  end
end
