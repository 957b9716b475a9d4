package mcpexec_test

import (
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func TestMetadataIsNoServer(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://169.254.169.254/mcp", "http://[::ffff:a9fe:a9fe]/mcp"} {
		f := executortest.Fault(t.Context(), t, rung(t, executor.MCPServer{URL: url}, "read"), executortest.Request(`{}`))
		if f.Class != steps.PolicyDenied || f.MayHaveActed() || !strings.Contains(f.Message, "always refused") {
			t.Errorf("%s: %+v", url, f)
		}
	}
}
