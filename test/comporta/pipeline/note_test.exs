defmodule Comporta.Pipeline.NoteTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Note

  defp written(from, upto) do
    range = <<from::64, upto::64>>
    range <> <<:erlang.crc32(range)::32>>
  end

  test "says what a worker wrote, and is gone then" do
    path = Note.new()
    File.write!(path, written(7, 1_000_000_000_000))
    assert Note.take(path) == {7, 1_000_000_000_000}
    refute File.exists?(path)
    assert Note.take(path) == nil
  end

  test "what was not written, or not whole, says nothing" do
    assert Note.take(Note.new()) == nil
    assert Note.take(nil) == nil
    whole = written(7, 9)

    for content <- ["", binary_part(whole, 0, 19), whole <> "x", "x" <> binary_part(whole, 1, 19)] do
      path = Note.new()
      File.write!(path, content)
      assert Note.take(path) == nil
    end
  end
end
