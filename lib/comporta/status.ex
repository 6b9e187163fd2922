defmodule Comporta.Status do
  @moduledoc """
  How the pipelines are doing, for whoever looks: a table that the stages write to and that costs them nothing.

  | key | value |
  | --- | --- |
  | `:ledger` | the `t:Comporta.Ledger.t/0` of the whole, folded so far |
  | `:durable` | the same, as far as it is durable |
  | `:in_flight` | records read and not yet folded |
  | `:lag` | `{amount, unit}`: how far behind the end of what there is to read |
  | `:worked?` | whether any batch came in this run |
  | `:first_at`, and those of `Comporta.Profile` | where the time of batches goes |
  | those of `Comporta.Notes` | losses, and rows that are not counted as others are |
  """

  @doc "Makes the table; its owner is the caller."
  @spec new() :: :ok
  def new do
    _ = :ets.new(__MODULE__, [:named_table, :public, write_concurrency: true, read_concurrency: true])
    :ok
  end

  @doc "Notes a value of a pipeline."
  @spec put(String.t(), atom, term) :: true
  def put(pipeline, key, value), do: :ets.insert(__MODULE__, {{pipeline, key}, value})

  @doc "Notes a value of a pipeline, unless there is one."
  @spec put_new(String.t(), atom, term) :: boolean
  def put_new(pipeline, key, value), do: :ets.insert_new(__MODULE__, {{pipeline, key}, value})

  @doc "Adds to a count, whoever else does at the same time."
  @spec add(String.t(), atom, integer) :: :ok
  def add(pipeline, key, amount) do
    _ = :ets.update_counter(__MODULE__, {pipeline, key}, {2, amount}, {{pipeline, key}, 0})
    :ok
  end

  @doc "The last value noted, or `default`."
  @spec get(String.t() | nil, atom, term) :: term
  def get(pipeline, key, default) do
    case :ets.lookup(__MODULE__, {pipeline, key}) do
      [{_key, value}] -> value
      [] -> default
    end
  end
end
