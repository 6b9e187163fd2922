defmodule Comporta.Python.Memory do
  @moduledoc "The resident memory of an operating system process, where the system says (`/proc`, on Linux)."

  @doc "The bytes of memory that the process has resident; `nil` where it has ended or the system does not say."
  @spec resident(pos_integer) :: non_neg_integer | nil
  def resident(os_pid) do
    # Raw: this is asked often, and not to wait in the queue of the one process that opens files for everybody.
    with {:ok, file} <- :file.open("/proc/#{os_pid}/status", [:read, :raw, :binary]) do
      status = :file.read(file, 8_192)
      _ = :file.close(file)
      parse(status)
    else
      {:error, _reason} -> nil
    end
  end

  # In KiB, whatever the size of a page; a zombie has no such line.
  defp parse({:ok, status}) do
    case Regex.run(~r/^VmRSS:\s+(\d+) kB$/m, status) do
      [_, kilobytes] -> String.to_integer(kilobytes) * 1024
      nil -> nil
    end
  end

  defp parse(_eof_or_error), do: nil
end
