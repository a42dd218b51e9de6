// The plain functions as C++ that Enzyme differentiates: loops over flat arrays, with sizes that are known when they are compiled.
// Mathematical functions are declared here, since the compiler inside the wheel need not find the system's headers.
extern "C" {
double tanh(double);
double exp(double);
double log1p(double);
double sin(double);
}

template <std::size_t LENGTH>
using array = enzyme::tensor<double, LENGTH>;

#ifdef PROBLEM_elementwise
void elementwise(array<1> &out, const array<SIZE> &x) {
    double sum = 0;
    for (std::size_t i = 0; i < SIZE; i++) sum += tanh(x[i]) * exp(-x[i] * x[i]) + log1p(x[i] * x[i]) * sin(x[i]);
    out[0] = sum;
}
#endif

#ifdef PROBLEM_ode
void ode(array<1> &out, const array<2 * SIZE * SIZE> &state, const array<3> &params, const array<SIZE * SIZE> &s,
         const array<2 * SIZE * SIZE> &seed) {
    double a = params[2] * (SIZE - 1) * (SIZE - 1), sum = 0;
    for (std::size_t i = 0; i < SIZE; i++) {
        std::size_t up = SIZE * (i > 0 ? i - 1 : i), at = SIZE * i, down = SIZE * (i < SIZE - 1 ? i + 1 : i);
        for (std::size_t j = 0; j < SIZE; j++) {
            std::size_t left = j > 0 ? j - 1 : j, right = j < SIZE - 1 ? j + 1 : j, V = SIZE * SIZE;
            double u = state[at + j], v = state[V + at + j], cubic = u * u * v;
            double lu = state[up + j] + state[down + j] + state[at + left] + state[at + right] - 4.0 * u;
            double lv = state[V + up + j] + state[V + down + j] + state[V + at + left] + state[V + at + right] - 4.0 * v;
            sum += seed[at + j] * (a * lu + params[1] + cubic - (params[0] + 1.0) * u + s[at + j]);
            sum += seed[V + at + j] * (a * lv + params[0] * u - cubic);
        }
    }
    out[0] = sum;
}
#endif
