# The Python package of this checkout, run by the interpreter that `make setup` prepared, or by the one that is named.
prepared = Path.expand(".venv/bin/python")
python = System.get_env("COMPORTA_PYTHON") || if(File.exists?(prepared), do: prepared, else: "python3")
Application.put_env(:comporta, :python, python)
System.put_env("PYTHONPATH", Path.expand("python"))

ExUnit.start(capture_log: true)
