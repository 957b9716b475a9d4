// Package kit holds what a release ships against the tools that read it.
package kit

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// TestCompose: the Compose specification knows every line of compose.yaml, with the commands' services and without.
func TestCompose(t *testing.T) {
	t.Parallel()
	env := []string{"BELAY_WEBHOOK_SECRET=s"}
	for _, user := range []string{"PROVISIONER", "DISPATCHER", "WORKER", "SUBMITTER", "DESK", "READER"} {
		env = append(env, "BELAY_NATS_"+user+"=p")
	}
	for profile, services := range map[string]int{"": 6, "commands": 9} {
		o, err := cli.NewProjectOptions([]string{"../../deploy/compose/compose.yaml"}, cli.WithEnv(env), cli.WithProfiles([]string{profile}))
		if err != nil {
			t.Fatal(err)
		}
		project, err := o.LoadProject(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(project.Services) != services {
			t.Errorf("profile %q: %d services, not %d", profile, len(project.Services), services)
		}
	}
}
