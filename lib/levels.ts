/** The values of `LOG_LEVEL`, and of `PUT /log-level`. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
