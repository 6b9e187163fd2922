defmodule Comporta.Terms do
  @moduledoc "PropEr generators of what headers hold."

  alias Comporta.Python.Frame

  @doc "Any value that a header may have."
  def value, do: :proper_types.sized(&value/1)

  @doc "A header with a kind and an id."
  def header do
    :proper_types.bind(
      entries(4),
      fn map ->
        Map.merge(Map.new(map), %{kind: :batch, id: map_size(map)})
      end,
      false
    )
  end

  defp value(0), do: scalar()

  defp value(size) do
    smaller = :proper_types.lazy(fn -> value(div(size, 4)) end)
    :proper_types.frequency([{4, scalar()}, {1, :proper_types.list(smaller)}, {1, map(smaller)}])
  end

  defp entries(size), do: map(value(size))
  defp map(value), do: convert(:proper_types.list({atom(), value}), &Map.new/1)

  defp scalar do
    :proper_types.oneof([
      :proper_types.integer(),
      convert({:proper_types.integer(), :proper_types.integer(0, 300)}, fn {n, bytes} ->
        n * Integer.pow(256, bytes)
      end),
      :proper_types.float(),
      atom(),
      :proper_types.binary(),
      :proper_types.list(:proper_types.byte())
    ])
  end

  # With those that the format writes in another way: not in Latin-1, and longer than 255 bytes.
  defp atom,
    do:
      :proper_types.oneof(
        Frame.vocabulary() ++ [:"", :naïve, :日本, String.to_atom(String.duplicate("語", 255))]
      )

  defp convert(type, fun), do: :proper_types.bind(type, fun, false)
end
