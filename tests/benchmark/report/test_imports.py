"""Reports import their heavy libraries only where they use them."""

import subprocess
import sys

HEAVY = ("scipy", "matplotlib", "torch", "sklearn", "pandas")


def test_building_a_table_and_naming_a_page_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import benchmark.report.table, benchmark.report.render, benchmark.report.page.write\n"
        "import benchmark.report.figures.plot, benchmark.report.significance, benchmark.report.efficiency\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
