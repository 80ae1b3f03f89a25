import { Argument, type Command } from 'commander'
import type { Shell } from './completion-scripts.ts'
import type { Run } from './program.ts'

/** Made from the program as it is when somebody asks: a script that a shell evaluates at its start is never out of date. */
export function addCompletion(program: Command, run: Run): void {
  program
    .command('completion')
    .summary('a script for a shell, in which Tab then completes commands, options and what they take')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish'] satisfies readonly Shell[]))
    .addHelpText('before', EXAMPLE)
    .action((shell: Shell) =>
      run(async () => {
        const [{ commandsOf }, { scriptFor }] = await Promise.all([
          import('./completion-tree.ts'),
          import('./completion-scripts.ts'),
        ])
        const script = scriptFor(shell, commandsOf(program))
        return { data: { shell, script }, text: [script] } // no word around it: it is evaluated at the start of every shell
      }),
    )
}

const EXAMPLE = `Example:
  pinfetch completion bash               # prints the script; for every shell to come:
  echo 'eval "$(pinfetch completion bash)"' >> ~/.bashrc
  echo 'eval "$(pinfetch completion zsh)"' >> ~/.zshrc     # below compinit
  pinfetch completion fish > ~/.config/fish/completions/pinfetch.fish
`
