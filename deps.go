package belay

import (
	_ "go.uber.org/goleak"
)
