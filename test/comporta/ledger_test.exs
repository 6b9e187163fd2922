defmodule Comporta.LedgerTest do
  use ExUnit.Case, async: true

  alias Comporta.Ledger

  defp ledger(counts), do: Map.merge(Ledger.new(), Map.new(counts))

  test "the whole counts a replayed letter where it ended, and its record once" do
    partitions = %{
      "file-a" => ledger(consumed: 10, counted: 7, dead: 3),
      "replay" => ledger(consumed: 2, counted: 1, dead: 1)
    }

    whole = Ledger.whole(partitions)
    assert whole == ledger(consumed: 10, counted: 8, dead: 2)
    assert Ledger.balanced?(whole)
  end

  test "an unbalanced ledger is told" do
    refute Ledger.balanced?(ledger(consumed: 2, counted: 1))
  end

  test "counts that are missing or negative make no ledger" do
    assert {:ok, _} = Ledger.from_header(ledger(consumed: 1, counted: 1))
    assert :error = Ledger.from_header(%{consumed: 1})
    assert :error = Ledger.from_header(ledger(dead: -1))
  end
end
