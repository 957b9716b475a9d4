package dispatcher

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/steps"
	"belay/internal/text"
)

const runsSteerExample = `  dispatcher runs steer ticket-7 "do not offer a refund, send a new one"
  dispatcher runs steer ticket-7 --take-back 3 "that was another customer"`

func (a *app) runsSteer() *cobra.Command {
	var step string
	var turn int
	c := &cobra.Command{
		Use: "steer ID [MESSAGE]", Short: "Write to an agent at work, which its model reads before it is asked the next time; or take back some of its turns",
		Example: runsSteerExample, Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			message := strings.Join(args[1:], "")
			switch back := c.Flags().Changed("take-back"); {
			case back && turn < 1:
				return cli.Usage("--take-back %d: turns are numbered from 1", turn)
			case len(args) < 2 && !back:
				return cli.Usage("say what to tell the agent, or which turn to take back with --take-back N")
			}
			return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
				came, err := s.Runs.Steer(c.Context(), run, steps.Steered{Step: step, Text: message, TakeBack: turn, By: me(), Via: "cli"})
				if err != nil {
					return err
				}
				fmt.Fprintf(a.Err, "run %s: %s\n", run, text.Line(came.Text))
				if a.JSON() {
					return a.PrintJSON(map[string]string{"id": run, "effect": came.Text})
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&step, "step", "", "the agent's step, where several are at work")
	c.Flags().IntVar(&turn, "take-back", 0, "take back this turn `number` and all after it: the model hears only what was done in them; that stays done, and is not made again")
	return c
}
